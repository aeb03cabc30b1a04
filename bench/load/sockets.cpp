#include "sockets.h"

#include "arguments.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <system_error>

namespace rproxy::bench {
namespace {

[[noreturn]] void fail_with_errno(const std::string& what) {
    fail(what + ": " + std::generic_category().message(errno));
}

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

void enable(const Descriptor& socket, int level, int option) {
    const int on = 1;
    if (setsockopt(socket.get(), level, option, &on, sizeof on) != 0) {
        fail_with_errno("setsockopt");
    }
}

Moved moved(ssize_t result) {
    if (result > 0) {
        return {Transfer::Done, static_cast<std::size_t>(result)};
    }
    if (result < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOTCONN)) {
        return {Transfer::Later, 0};
    }
    return {Transfer::Closed, 0};
}

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
    if (this != &other) {
        close();
        number_ = std::exchange(other.number_, -1);
    }
    return *this;
}

void Descriptor::close() {
    if (is_open()) {
        ::close(std::exchange(number_, -1));
    }
}

Descriptor listen_on(std::uint16_t port, Reach reach) {
    Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket.is_open()) {
        fail_with_errno("socket");
    }
    enable(socket, SOL_SOCKET, SO_REUSEADDR);
    enable(socket, SOL_SOCKET, SO_REUSEPORT);
    auto address = loopback(port);
    if (reach == Reach::AnyAddress) {
        address.sin_addr.s_addr = htonl(INADDR_ANY);
    }
    const auto* generic = reinterpret_cast<const sockaddr*>(&address);
    if (bind(socket.get(), generic, sizeof address) != 0 || listen(socket.get(), 4096) != 0) {
        fail_with_errno("listen on port " + std::to_string(port));
    }
    return socket;
}

std::optional<Descriptor> accept_from(const Descriptor& listener) {
    Descriptor socket(accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket.is_open()) {
        return std::nullopt;
    }
    enable(socket, IPPROTO_TCP, TCP_NODELAY);
    return socket;
}

Descriptor connect_to(std::uint16_t port) {
    Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket.is_open()) {
        fail_with_errno("socket");
    }
    enable(socket, IPPROTO_TCP, TCP_NODELAY);
    const auto address = loopback(port);
    const auto* generic = reinterpret_cast<const sockaddr*>(&address);
    // A refusal shows as Closed at the first transfer; only running out of ports is fatal.
    if (connect(socket.get(), generic, sizeof address) != 0 && errno == EADDRNOTAVAIL) {
        fail_with_errno("connect");
    }
    return socket;
}

Moved receive(const Descriptor& socket, std::span<char> into) {
    return moved(recv(socket.get(), into.data(), into.size(), 0));
}

Moved discard(const Descriptor& socket, std::size_t limit) {
    return moved(recv(socket.get(), nullptr, limit, MSG_TRUNC));
}

Moved send(const Descriptor& socket, std::span<const char> bytes) {
    return moved(::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL));
}

Epoll::Epoll() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    if (!epoll_.is_open()) {
        fail_with_errno("epoll_create1");
    }
}

void Epoll::add(const Descriptor& descriptor, std::uint32_t events, void* owner) {
    epoll_event event{.events = events, .data = {.ptr = owner}};
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, descriptor.get(), &event) != 0) {
        fail_with_errno("epoll_ctl add");
    }
}

void Epoll::change(const Descriptor& descriptor, std::uint32_t events, void* owner) {
    epoll_event event{.events = events, .data = {.ptr = owner}};
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, descriptor.get(), &event) != 0) {
        fail_with_errno("epoll_ctl change");
    }
}

void Epoll::remove(const Descriptor& descriptor) {
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, descriptor.get(), nullptr) != 0) {
        fail_with_errno("epoll_ctl remove");
    }
}

std::span<const epoll_event> Epoll::wait(std::optional<std::chrono::nanoseconds> limit) {
    timespec timeout{};
    if (limit) {
        const auto positive = std::max(*limit, std::chrono::nanoseconds{0});
        const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(positive);
        timeout.tv_sec = seconds.count();
        timeout.tv_nsec = (positive - seconds).count();
    }
    const int count = epoll_pwait2(epoll_.get(), events_, static_cast<int>(std::size(events_)),
                                   limit ? &timeout : nullptr, nullptr);
    if (count < 0 && errno != EINTR) {
        fail_with_errno("epoll_pwait2");
    }
    return {events_, static_cast<std::size_t>(std::max(count, 0))};
}

void prepare_process() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    // A fixed rate needs timers that fire on time, not within the usual 50 µs.
    prctl(PR_SET_TIMERSLACK, 1UL);
}

}  // namespace rproxy::bench
