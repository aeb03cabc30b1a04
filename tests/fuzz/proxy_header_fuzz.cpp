#include "http1/proxy_header.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

using namespace rproxy::http1;  // NOLINT(google-build-using-namespace): one function

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

/// The verdict on `part`, the beginning of `whole`, must not contradict the one on all of it.
void check_beginning(std::string_view whole, std::size_t size) {
    const auto all = parse_proxy_header(whole);
    const auto part = parse_proxy_header(whole.substr(0, size));
    if (!part) {
        require(!all && all.error() == part.error());
    } else if (*part) {
        require(all && *all && (*all)->size == (*part)->size);
    } else {
        require(!all || !*all || (*all)->size > size);
    }
}

}  // namespace

/// Any bytes are a header, the beginning of one, or refused; where they are cut does not change
/// what they are, and nothing behind a header has a say in it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(bytes), size);
    constexpr std::size_t kCutsFromEachEnd = 256;
    for (std::size_t cut = 0; cut <= std::min(size, kCutsFromEachEnd); ++cut) {
        check_beginning(text, cut);
        check_beginning(text, size - cut);
    }
    const auto parsed = parse_proxy_header(text);
    if (parsed && *parsed) {
        const ProxyHeader& header = **parsed;
        require(header.size > 0 && header.size <= std::min(size, kLargestProxyHeader));
        const auto alone = parse_proxy_header(text.substr(0, header.size));
        require(alone && *alone && (*alone)->size == header.size);
        require((*alone)->source.has_value() == header.source.has_value());
        if (header.source) {
            require((*alone)->source->ip == header.source->ip);
            require((*alone)->source->port == header.source->port);
        }
    } else if (parsed) {
        require(size < kLargestProxyHeader);  // more may be waited for, but not forever
    }
    return 0;
}
