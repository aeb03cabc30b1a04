#include "net/socket.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace rproxy::net {

namespace {

std::error_code last_error() {
    return {errno, std::generic_category()};
}

void set_option(int fd, int level, int option, int value) {
    ::setsockopt(fd, level, option, &value, sizeof value);
}

Peer peer_of(const sockaddr_storage& storage) {
    if (storage.ss_family == AF_INET) {
        sockaddr_in in{};
        std::memcpy(&in, &storage, sizeof in);
        return {IpAddress::v4(ntohl(in.sin_addr.s_addr)), ntohs(in.sin_port)};
    }
    if (storage.ss_family == AF_INET6) {
        sockaddr_in6 in{};
        std::memcpy(&in, &storage, sizeof in);
        std::array<std::uint8_t, 16> bytes{};
        std::memcpy(bytes.data(), &in.sin6_addr, bytes.size());
        return {IpAddress::v6(bytes), ntohs(in.sin6_port)};
    }
    return {};
}

}  // namespace

void remove_stale_socket(const SocketAddress& address) {
    sockaddr_un un{};
    std::memcpy(&un, address.get(), std::min<std::size_t>(address.size(), sizeof un));
    struct stat status{};
    if (::stat(un.sun_path, &status) != 0 || !S_ISSOCK(status.st_mode)) {
        return;
    }
    const Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::connect(probe.get(), address.get(), address.size()) != 0 && errno == ECONNREFUSED) {
        ::unlink(un.sun_path);
    }
}

SocketAddress::SocketAddress(const IpAddress& ip, std::uint16_t port) {
    if (ip.is_v4()) {
        sockaddr_in in{};
        in.sin_family = AF_INET;
        in.sin_port = htons(port);
        in.sin_addr.s_addr = htonl(ip.to_v4());
        std::memcpy(&storage_, &in, sizeof in);
        size_ = sizeof in;
    } else {
        sockaddr_in6 in{};
        in.sin6_family = AF_INET6;
        in.sin6_port = htons(port);
        std::memcpy(&in.sin6_addr, ip.bytes().data(), ip.bytes().size());
        std::memcpy(&storage_, &in, sizeof in);
        size_ = sizeof in;
    }
}

SocketAddress SocketAddress::unix_path(const std::string& path) {
    sockaddr_un un{};
    un.sun_family = AF_UNIX;
    const auto length = std::min(path.size(), sizeof un.sun_path - 1);
    std::memcpy(un.sun_path, path.data(), length);
    SocketAddress address;
    std::memcpy(&address.storage_, &un, sizeof un);
    address.size_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length + 1);
    return address;
}

std::optional<SocketAddress> SocketAddress::of(const Endpoint& endpoint) {
    if (endpoint.is_unix()) {
        return unix_path(endpoint.path);
    }
    if (const auto ip = endpoint.ip()) {
        return SocketAddress{*ip, endpoint.port};
    }
    return std::nullopt;
}

const sockaddr* SocketAddress::get() const {
    return reinterpret_cast<const sockaddr*>(&storage_);
}

std::expected<Fd, std::error_code> listen_on(const SocketAddress& address, std::uint32_t backlog) {
    Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) {
        return std::unexpected{last_error()};
    }
    if (address.family() == AF_UNIX) {
        remove_stale_socket(address);
    } else {
        set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
        set_option(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1);
        // Inherited by accepted sockets: saves a system call per connection.
        set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
        if (address.family() == AF_INET6) {
            set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 0);
        }
    }
    if (::bind(fd.get(), address.get(), address.size()) != 0 ||
        ::listen(fd.get(), static_cast<int>(std::min<std::uint32_t>(backlog, 1U << 30U))) != 0) {
        return std::unexpected{last_error()};
    }
    return fd;
}

std::expected<Fd, std::error_code> duplicate(const Fd& fd) {
    Fd copy(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
    if (!copy) {
        return std::unexpected{last_error()};
    }
    return copy;
}

std::uint16_t local_port(int fd) {
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size);
    return peer_of(storage).port;
}

std::expected<std::optional<Accepted>, std::error_code> accept_one(int listener) {
    while (true) {
        sockaddr_storage storage{};
        socklen_t size = sizeof storage;
        Fd fd(::accept4(listener, reinterpret_cast<sockaddr*>(&storage), &size,
                        SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (fd) {
            return Accepted{std::move(fd), peer_of(storage)};
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return std::nullopt;
        }
        // The client left while waiting, or a signal came: look at the next (accept(2)).
        if (errno != ECONNABORTED && errno != EINTR && errno != EPROTO) {
            return std::unexpected{last_error()};
        }
    }
}

std::expected<Fd, std::error_code> start_connect(const SocketAddress& address) {
    Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) {
        return std::unexpected{last_error()};
    }
    if (address.family() != AF_UNIX) {
        set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
    }
    if (::connect(fd.get(), address.get(), address.size()) != 0 && errno != EINPROGRESS) {
        return std::unexpected{last_error()};
    }
    return fd;
}

std::error_code connect_result(int fd) {
    int error = 0;
    socklen_t size = sizeof error;
    if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
        return last_error();
    }
    return {error, std::generic_category()};
}

std::expected<std::vector<IpAddress>, std::string> resolve_blocking(const std::string& host) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    // AI_ADDRCONFIG: where there is no IPv6 route, `localhost` must not become a dead ::1.
    hints.ai_flags = AI_ADDRCONFIG;
    addrinfo* found = nullptr;
    int result = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
    if (result == EAI_NONAME || result == EAI_ADDRFAMILY || result == EAI_NODATA) {
        // A host with nothing but loopback counts as unconfigured for AI_ADDRCONFIG.
        hints.ai_flags = 0;
        result = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
    }
    if (result != 0) {
        return std::unexpected{std::string(::gai_strerror(result))};
    }
    std::vector<IpAddress> addresses;
    for (const addrinfo* info = found; info != nullptr; info = info->ai_next) {
        sockaddr_storage storage{};
        std::memcpy(&storage, info->ai_addr, info->ai_addrlen);
        const auto ip = peer_of(storage).ip;
        if (std::ranges::find(addresses, ip) == addresses.end()) {
            addresses.push_back(ip);
        }
    }
    ::freeaddrinfo(found);
    return addresses;
}

}  // namespace rproxy::net
