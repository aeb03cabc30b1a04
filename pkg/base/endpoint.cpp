#include "base/endpoint.h"

#include "base/strings.h"

#include <algorithm>
#include <charconv>

namespace rproxy {

namespace {

constexpr std::size_t kLongestUnixPath = 107;  // sun_path less its NUL, unix(7)

std::expected<std::uint16_t, std::string> parse_port(std::string_view text, bool allow_zero) {
    unsigned port = 0;
    const char* const last = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), last, port);
    if (text.empty() || error != std::errc{} || end != last || port > 65535 ||
        (port == 0 && !allow_zero)) {
        return std::unexpected{"port '" + std::string(text) + "' is not a number from 1 to 65535"};
    }
    return static_cast<std::uint16_t>(port);
}

std::expected<std::string, std::string> parse_host(std::string_view host) {
    const bool bracketed = host.starts_with('[');
    if (bracketed) {
        const auto address = IpAddress::parse(host.substr(1, host.size() - 2));
        if (!host.ends_with(']') || !address || address->is_v4()) {
            return std::unexpected{"'" + std::string(host) +
                                   "' is not an IPv6 address in brackets"};
        }
        return address->to_string();
    }
    if (host.find(':') != std::string_view::npos) {
        return std::unexpected{std::string("an IPv6 address needs brackets: [address]:port")};
    }
    if (const auto address = IpAddress::parse(host)) {
        return address->to_string();
    }
    const bool numeric =
        !host.empty() && host.find_first_not_of("0123456789.") == std::string_view::npos;
    if (numeric || !is_dns_name(host)) {
        return std::unexpected{"'" + std::string(host) +
                               "' is neither an IP address nor a DNS name"};
    }
    return to_lower(host);
}

}  // namespace

bool is_dns_name(std::string_view text) {
    if (text.ends_with('.')) {
        text.remove_suffix(1);
    }
    if (text.empty() || text.size() > 253) {
        return false;
    }
    std::size_t start = 0;
    while (start <= text.size()) {
        const auto end = std::min(text.find('.', start), text.size());
        const auto label = text.substr(start, end - start);
        const auto allowed = [](char c) {
            const char lower = ascii_lower(c);
            return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
        };
        if (label.empty() || label.size() > 63 || label.starts_with('-') || label.ends_with('-') ||
            !std::ranges::all_of(label, allowed)) {
            return false;
        }
        start = end + 1;
    }
    return true;
}

std::expected<Endpoint, std::string> Endpoint::parse(std::string_view text, bool allow_port_zero) {
    Endpoint endpoint;
    if (text.starts_with("unix:")) {
        endpoint.path = text.substr(5);
        if (!endpoint.path.starts_with('/') || endpoint.path.size() > kLongestUnixPath) {
            return std::unexpected{std::string(
                "a unix socket needs an absolute path of at most 107 bytes: unix:/path")};
        }
        return endpoint;
    }
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos || text.ends_with(']')) {
        return std::unexpected{"'" + std::string(text) +
                               "' has no port: host:port, [v6]:port or unix:/path"};
    }
    const auto host = parse_host(text.substr(0, colon));
    if (!host) {
        return std::unexpected{host.error()};
    }
    const auto port = parse_port(text.substr(colon + 1), allow_port_zero);
    if (!port) {
        return std::unexpected{port.error()};
    }
    endpoint.host = *host;
    endpoint.port = *port;
    return endpoint;
}

std::optional<IpAddress> Endpoint::ip() const {
    return IpAddress::parse(host);
}

std::string Endpoint::to_string() const {
    if (is_unix()) {
        return "unix:" + path;
    }
    const bool six = host.find(':') != std::string::npos;
    return (six ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

}  // namespace rproxy
