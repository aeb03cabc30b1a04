#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace rproxy::test {

/// A blocking stream socket. Moves; closes with the object.
class Socket {
public:
    Socket() = default;
    explicit Socket(int fd) : fd_(fd) {}
    ~Socket() { close(); }
    Socket(Socket&& other) noexcept : fd_(other.release()) {}
    Socket& operator=(Socket&& other) noexcept;
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;

    /// Throws if nobody listens there.
    static Socket connect_tcp(const std::string& ip, std::uint16_t port);
    static Socket connect_unix(const std::string& path);
    /// On 127.0.0.1 with SO_REUSEADDR; port 0 takes a free one. Throws on failure.
    static Socket listen_tcp(std::uint16_t port);

    int fd() const { return fd_; }
    bool is_open() const { return fd_ >= 0; }
    std::uint16_t local_port() const;

    /// False if the peer is gone.
    bool send(std::string_view bytes) const;
    enum class Got : std::uint8_t { Bytes, End, Reset, Timeout };
    /// Appends what comes first.
    Got receive(std::string& out, std::chrono::milliseconds timeout) const;
    /// Whether the peer has closed or reset, looking for at most `timeout`; reads nothing.
    bool peer_gone(std::chrono::milliseconds timeout) const;

    void shutdown_write() const;
    void shutdown_both() const;
    /// Until the peer's kernel has all that was sent, at most a second: a reset discards the rest.
    void wait_until_sent() const;
    /// Closes with RST.
    void reset();
    void close();

private:
    int release() {
        const int fd = fd_;
        fd_ = -1;
        return fd;
    }
    int fd_{-1};
};

}  // namespace rproxy::test
