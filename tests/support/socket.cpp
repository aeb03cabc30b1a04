#include "support/socket.h"

#include "support/wait_until.h"

#include <arpa/inet.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>

namespace rproxy::test {

namespace {

[[noreturn]] void fail(const std::string& what) {
    throw std::system_error(errno, std::generic_category(), what);
}

void set_option(int fd, int level, int option, int value) {
    if (::setsockopt(fd, level, option, &value, sizeof value) != 0) {
        fail("setsockopt");
    }
}

/// The sockets API wants every address as a sockaddr.
template <typename Address>
const sockaddr* as_sockaddr(const Address& address) {
    return reinterpret_cast<const sockaddr*>(&address);
}

template <typename Address>
Socket connect_to(const Address& address, const std::string& name) {
    Socket socket(::socket(as_sockaddr(address)->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket.is_open() || ::connect(socket.fd(), as_sockaddr(address), sizeof address) != 0) {
        fail("connect to " + name);
    }
    return socket;
}

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

}  // namespace

Socket& Socket::operator=(Socket&& other) noexcept {
    if (this != &other) {
        close();
        fd_ = other.release();
    }
    return *this;
}

Socket Socket::connect_tcp(const std::string& ip, std::uint16_t port) {
    const auto name = ip + ":" + std::to_string(port);
    sockaddr_in v4 = loopback(port);
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    Socket socket;
    if (::inet_pton(AF_INET, ip.c_str(), &v4.sin_addr) == 1) {
        socket = connect_to(v4, name);
    } else if (::inet_pton(AF_INET6, ip.c_str(), &v6.sin6_addr) == 1) {
        socket = connect_to(v6, name);
    } else {
        throw std::invalid_argument("not an IP address: " + ip);
    }
    set_option(socket.fd(), IPPROTO_TCP, TCP_NODELAY, 1);
    return socket;
}

Socket Socket::connect_unix(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        throw std::invalid_argument("path too long for a unix socket: " + path);
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    return connect_to(address, path);
}

Socket Socket::listen_tcp(std::uint16_t port) {
    Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket.is_open()) {
        fail("socket");
    }
    set_option(socket.fd(), SOL_SOCKET, SO_REUSEADDR, 1);
    const auto address = loopback(port);
    constexpr int kBacklog = 512;
    if (::bind(socket.fd(), as_sockaddr(address), sizeof address) != 0 ||
        ::listen(socket.fd(), kBacklog) != 0) {
        fail("listen on port " + std::to_string(port));
    }
    return socket;
}

std::uint16_t Socket::local_port() const {
    sockaddr_in6 address{};
    socklen_t size = sizeof address;
    if (::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
        fail("getsockname");
    }
    return ntohs(address.sin6_port);  // at the same place as sin_port
}

bool Socket::send(std::string_view bytes) const {
    while (!bytes.empty()) {
        const auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR) {
            return false;
        }
        bytes.remove_prefix(sent > 0 ? static_cast<std::size_t>(sent) : 0);
    }
    return true;
}

Socket::Got Socket::receive(std::string& out, std::chrono::milliseconds timeout) const {
    pollfd ready{.fd = fd_, .events = POLLIN, .revents = 0};
    int count = 0;
    do {  // a signal, such as libFuzzer's alarm, is no end of patience
        count = ::poll(&ready, 1, static_cast<int>(timeout.count()));
    } while (count < 0 && errno == EINTR);
    if (count <= 0) {
        return Got::Timeout;
    }
    std::array<char, 65536> part{};
    const auto got = ::recv(fd_, part.data(), part.size(), 0);
    if (got > 0) {
        out.append(part.data(), static_cast<std::size_t>(got));
        return Got::Bytes;
    }
    return got == 0 ? Got::End : Got::Reset;
}

bool Socket::peer_gone(std::chrono::milliseconds timeout) const {
    pollfd gone{.fd = fd_, .events = POLLRDHUP, .revents = 0};
    return ::poll(&gone, 1, static_cast<int>(timeout.count())) > 0;
}

void Socket::shutdown_write() const {
    ::shutdown(fd_, SHUT_WR);
}

void Socket::shutdown_both() const {
    ::shutdown(fd_, SHUT_RDWR);
}

void Socket::wait_until_sent() const {
    int unsent = 0;
    wait_until([&] { return ::ioctl(fd_, SIOCOUTQ, &unsent) != 0 || unsent == 0; },
               std::chrono::seconds{1});
}

void Socket::reset() {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close();
}

void Socket::close() {
    if (fd_ >= 0) {
        ::close(release());
    }
}

}  // namespace rproxy::test
