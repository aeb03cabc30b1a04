#pragma once

#include "base/endpoint.h"
#include "base/ip_address.h"
#include "net/fd.h"

#include <sys/socket.h>

#include <cstdint>
#include <expected>
#include <optional>
#include <system_error>
#include <vector>

namespace rproxy::net {

/// A socket address as the kernel takes it: IPv4, IPv6 or unix.
class SocketAddress {
public:
    SocketAddress() = default;
    SocketAddress(const IpAddress& ip, std::uint16_t port);
    static SocketAddress unix_path(const std::string& path);
    /// Of an endpoint whose host is an address (or a unix path); nothing for a name.
    static std::optional<SocketAddress> of(const Endpoint& endpoint);

    const sockaddr* get() const;
    socklen_t size() const { return size_; }
    int family() const { return storage_.ss_family; }

private:
    sockaddr_storage storage_{};
    socklen_t size_{0};
};

/// Who connected. A unix peer is 0.0.0.0 port 0.
struct Peer {
    IpAddress ip;
    std::uint16_t port{0};
};

struct Accepted {
    Fd fd;
    Peer peer;
};

/// All of these make non-blocking, close-on-exec sockets.

/// Binds and listens, with SO_REUSEADDR, and SO_REUSEPORT so that each worker has its own queue. A
/// unix path that nobody listens on any more is taken over.
std::expected<Fd, std::error_code> listen_on(const SocketAddress& address, std::uint32_t backlog);
/// Removes a socket file whose server died, which would be in the way of the next one; a living
/// server's, and anything else of that name, is not touched.
void remove_stale_socket(const SocketAddress& address);
/// Another descriptor of the same socket: unix listeners are shared by the workers.
std::expected<Fd, std::error_code> duplicate(const Fd& fd);
/// The address a listener got: tests bind port 0.
std::uint16_t local_port(int fd);
/// The next waiting client; nothing once the queue is empty; an error such as EMFILE.
std::expected<std::optional<Accepted>, std::error_code> accept_one(int listener);
/// Starts connecting; the outcome is connect_result() once the socket is writable.
std::expected<Fd, std::error_code> start_connect(const SocketAddress& address);
std::error_code connect_result(int fd);
/// Blocks: for the resolver's own thread only. All addresses of `host`, each once, in the
/// resolver's order.
std::expected<std::vector<IpAddress>, std::string> resolve_blocking(const std::string& host);

}  // namespace rproxy::net
