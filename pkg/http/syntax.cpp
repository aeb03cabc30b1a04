#include "http/syntax.h"

#include "base/ip_address.h"

#include <algorithm>
#include <array>

namespace rproxy::http {

namespace {

constexpr bool is_alnum(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

struct Table {
    std::array<bool, 256> in{};
    constexpr explicit Table(std::string_view others) {
        for (int c = 0; c < 128; ++c) {
            in[static_cast<std::size_t>(c)] = is_alnum(static_cast<char>(c));
        }
        for (const char c : others) {
            in[static_cast<unsigned char>(c)] = true;
        }
    }
    constexpr bool has(char c) const { return in[static_cast<unsigned char>(c)]; }
};

constexpr Table kTchar("!#$%&'*+-.^_`|~");
constexpr Table kRegName("-._~!$&'()*+,;=");  // unreserved and sub-delims

bool is_digits(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

bool is_hex(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool is_reg_name(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (kRegName.has(text[i])) {
            continue;
        }
        if (text[i] != '%' || i + 2 >= text.size() || !is_hex(text[i + 1]) ||
            !is_hex(text[i + 2])) {
            return false;
        }
        i += 2;
    }
    return !text.empty();
}

bool is_valid_port(std::string_view text) {
    constexpr std::size_t kLongest = 5;
    return text.size() <= kLongest && is_digits(text);
}

}  // namespace

bool is_token(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) { return kTchar.has(c); });
}

bool is_visible_ascii(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7f'; });
}

bool is_valid_host(std::string_view text) {
    if (text.starts_with('[')) {
        const auto close = text.find(']');
        if (close == std::string_view::npos) {
            return false;
        }
        const auto address = IpAddress::parse(text.substr(1, close - 1));
        const auto rest = text.substr(close + 1);
        const bool v6 = text.substr(1, close - 1).find(':') != std::string_view::npos;
        return address && v6 &&
               (rest.empty() || (rest.front() == ':' && is_valid_port(rest.substr(1))));
    }
    const auto colon = text.find(':');
    if (colon != std::string_view::npos && !is_valid_port(text.substr(colon + 1))) {
        return false;
    }
    return is_reg_name(text.substr(0, colon));
}

std::string_view host_without_port(std::string_view host) {
    if (host.starts_with('[')) {
        return host.substr(0, host.find(']') + 1);
    }
    return host.substr(0, host.find(':'));
}

}  // namespace rproxy::http
