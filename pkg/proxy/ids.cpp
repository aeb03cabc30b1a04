#include "proxy/ids.h"

#include "http/syntax.h"

#include <algorithm>
#include <cstdint>

namespace rproxy::proxy {

namespace {

constexpr std::size_t kTraceparentSize = 55;  // 00-<32>-<16>-<2>

void write_hex(char* out, std::uint64_t value) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    for (int shift = 60; shift >= 0; shift -= 4) {
        *out++ = kDigits[value >> static_cast<unsigned>(shift) & 15U];
    }
}

bool is_lower_hex(std::string_view text) {
    return std::ranges::all_of(
        text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool all_zero(std::string_view text) {
    return text.find_first_not_of('0') == std::string_view::npos;
}

/// A later version may be longer; its first four parts are those of version 00 (§3.2.1).
bool is_traceparent(std::string_view text) {
    if (text.size() < kTraceparentSize || text[2] != '-' || text[35] != '-' || text[52] != '-') {
        return false;
    }
    const auto version = text.substr(0, 2);
    const bool longer = text.size() > kTraceparentSize;
    if (!is_lower_hex(version) || version == "ff" ||
        (longer && (version == "00" || text[kTraceparentSize] != '-'))) {
        return false;
    }
    const auto trace = text.substr(3, 32);
    const auto parent = text.substr(36, 16);
    return is_lower_hex(trace) && !all_zero(trace) && is_lower_hex(parent) && !all_zero(parent) &&
           is_lower_hex(text.substr(53, 2));
}

bool is_request_id(std::string_view text) {
    constexpr std::size_t kLongest = 128;
    return !text.empty() && text.size() <= kLongest && http::is_visible_ascii(text);
}

}  // namespace

void RequestIds::set(std::string_view request_id, std::string_view traceparent, Rng& rng) {
    if (is_traceparent(traceparent)) {
        traceparent_ = traceparent;
    } else {
        // Sampled: whether to keep a trace that begins here is for the backends' samplers, and a
        // cleared flag would forbid it to most of them.
        std::ranges::copy(std::string_view("00-"), made_parent_.begin());
        write_hex(made_parent_.data() + 3, rng.next() | 1U);
        write_hex(made_parent_.data() + 19, rng.next());
        made_parent_[35] = '-';
        write_hex(made_parent_.data() + 36, rng.next() | 1U);
        std::ranges::copy(std::string_view("-01"), made_parent_.begin() + 52);
        traceparent_ = {made_parent_.data(), made_parent_.size()};
    }
    if (is_request_id(request_id)) {
        request_id_ = request_id;
        return;
    }
    write_hex(made_id_.data(), rng.next());
    write_hex(made_id_.data() + 16, rng.next());
    request_id_ = {made_id_.data(), made_id_.size()};
}

}  // namespace rproxy::proxy
