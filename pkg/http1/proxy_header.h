#pragma once

#include "base/ip_address.h"

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>

/// The header of the PROXY protocol, versions 1 and 2 (haproxy's doc/proxy-protocol.txt), by which
/// a proxy in front tells whose connection it passes on. Who may be believed is the caller's to
/// decide before it asks here: any client can send one.
namespace rproxy::http1 {

struct ProxyHeader {
    struct Source {
        IpAddress ip;
        std::uint16_t port{0};
    };
    std::size_t size{0};  ///< Of the whole header: the connection's own bytes begin there.
    /// Whose connection it is. Nothing where the socket's own address stands: the sender's own
    /// connections (LOCAL, its health checks), and families that are none of ours (UNKNOWN,
    /// AF_UNSPEC, AF_UNIX).
    std::optional<Source> source;
};

enum class ProxyHeaderError : std::uint8_t {
    Missing,    ///< The bytes begin otherwise: no header of this protocol.
    Malformed,  ///< One that is against its rules.
};

/// The largest header there is, in bytes: version 2 with as many additions (TLVs) as fit.
inline constexpr std::size_t kLargestProxyHeader = 16 + 65535;

/// The header at the start of `bytes`; nothing if more must come. What cannot become one is refused
/// at the first byte that shows it. TLVs are skipped unread.
std::expected<std::optional<ProxyHeader>, ProxyHeaderError> parse_proxy_header(
    std::string_view bytes);

}  // namespace rproxy::http1
