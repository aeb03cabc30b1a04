#pragma once

#include "base/ip_address.h"

#include <compare>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace rproxy {

/// Where to listen or connect: `host:port`, `[v6]:port` or `unix:/path`.
struct Endpoint {
    std::string host;       ///< IP address text without brackets, or a DNS name in lower case.
    std::uint16_t port{0};  ///< 0 for unix sockets; otherwise 1 to 65535 (0 too where asked for).
    std::string path;       ///< Of a unix socket; then host is empty.

    /// Parses `text`; on failure a sentence saying what is wrong, for an issue of the
    /// configuration. `allow_port_zero` is for listeners of tests.
    static std::expected<Endpoint, std::string> parse(std::string_view text,
                                                      bool allow_port_zero = false);
    bool is_unix() const { return !path.empty(); }
    /// The address if `host` is one, nothing if it is a name (or a unix path).
    std::optional<IpAddress> ip() const;
    /// In the form `parse` reads: canonical, so that equal endpoints print equally.
    std::string to_string() const;
    friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

/// Whether `text` is a DNS name as Kubernetes and resolvers take it: labels of letters, digits,
/// hyphens and underscores, at most 253 characters (RFC 1123 §2.1; underscore by common practice).
bool is_dns_name(std::string_view text);

}  // namespace rproxy
