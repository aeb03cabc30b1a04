#include "admin/content_encoding.h"

#include "base/strings.h"
#include "http/field.h"

#include <zlib.h>

#include <algorithm>
#include <new>
#include <optional>

namespace rproxy::admin {

namespace {

/// The weight is `q=0`, `q=0.0` and so on.
bool is_refused(std::string_view parameters) {
    for (const auto parameter : split_any(parameters, ";")) {
        const auto text = trim(parameter);
        if (text.starts_with("q=") || text.starts_with("Q=")) {
            return text.substr(2).find_first_not_of("0.") == std::string_view::npos;
        }
    }
    return false;
}

}  // namespace

bool accepts_gzip(std::string_view accept_encoding) {
    std::optional<bool> by_name;
    bool by_star = false;
    http::for_each_element(accept_encoding, [&](std::string_view element) {
        const auto semicolon = element.find(';');
        const auto coding = trim(element.substr(0, semicolon));
        const bool accepted =
            semicolon == std::string_view::npos || !is_refused(element.substr(semicolon));
        if (equals_ignoring_case(coding, "gzip") || equals_ignoring_case(coding, "x-gzip")) {
            by_name = accepted;
        } else if (coding == "*") {
            by_star = accepted;
        }
        return true;
    });
    return by_name.value_or(by_star);
}

std::string gzip(std::string_view text) {
    constexpr int kGzipWindow = MAX_WBITS + 16;  // 16: with gzip's header and trailer
    constexpr int kMemoryLevel = 8;
    z_stream stream{};
    if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, kGzipWindow, kMemoryLevel,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        throw std::bad_alloc{};  // the only thing that can be wrong with these arguments
    }
    std::string packed(deflateBound(&stream, text.size()), '\0');
    // zlib does not write to its input; its older interface lacks the const.
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast)
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = reinterpret_cast<Bytef*>(packed.data());
    stream.avail_out = static_cast<uInt>(packed.size());
    deflate(&stream, Z_FINISH);  // has room for all of it
    packed.resize(stream.total_out);
    deflateEnd(&stream);
    return packed;
}

}  // namespace rproxy::admin
