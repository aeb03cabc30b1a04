#pragma once

#include "support/http_text.h"
#include "support/socket.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace rproxy::test {

/// A client that sends whatever bytes a test wants and reads what comes back. One thread.
class RawClient {
public:
    static constexpr std::chrono::milliseconds kPatience = std::chrono::seconds{10};

    /// Connects to 127.0.0.1; throws if nobody listens.
    explicit RawClient(std::uint16_t port) : socket_(Socket::connect_tcp("127.0.0.1", port)) {}
    explicit RawClient(Socket socket) : socket_(std::move(socket)) {}
    static RawClient to_unix(const std::string& path) {
        return RawClient(Socket::connect_unix(path));
    }

    /// False if the peer is gone.
    bool send(std::string_view bytes) const { return socket_.send(bytes); }

    struct Response {
        int status{0};
        std::string head;      ///< With the status line and the empty line.
        std::string body;      ///< Content, without chunk framing.
        std::string trailers;  ///< Lines with their CRLF.
        std::string raw;       ///< All of it as it came.
        std::optional<std::string> header(std::string_view name) const { return field(head, name); }
        std::string reason() const { return header("X-Rproxy-Reason").value_or(""); }
    };
    enum class To : std::uint8_t { Get, Head };
    /// One whole response (1xx count as responses of their own); bytes after it stay for the next
    /// call. Nothing if it is not complete when time is over or the peer closes or resets; what
    /// came is then in `received()`.
    std::optional<Response> response(To request = To::Get,
                                     std::chrono::milliseconds timeout = kPatience);
    /// Sends, then reads one response.
    std::optional<Response> exchange(std::string_view request) {
        send(request);
        return response();
    }
    /// All that comes until the peer closes or resets; nothing if it does neither in time.
    std::optional<std::string> read_until_close(std::chrono::milliseconds timeout = kPatience);
    /// At least `size` bytes, as far as they come in time.
    std::string read_at_least(std::size_t size, std::chrono::milliseconds timeout = kPatience);
    /// Received and not yet given out.
    const std::string& received() const { return received_; }
    /// The peer closed or reset, within the time, and nothing is left to read.
    bool closed_by_peer(std::chrono::milliseconds timeout = kPatience);
    /// Seen by one of the reading calls.
    bool was_reset() const { return end_ == Socket::Got::Reset; }

    void shutdown_write() const { socket_.shutdown_write(); }
    void close() { socket_.close(); }
    /// RST, once the peer's kernel has what was sent.
    void reset() {
        socket_.wait_until_sent();
        socket_.reset();
    }
    std::uint16_t local_port() const { return socket_.local_port(); }
    const Socket& socket() const { return socket_; }

private:
    /// Once more from the socket; false at the end of it or of the time.
    bool read_more(std::chrono::steady_clock::time_point give_up);
    std::optional<std::size_t> body_size(const Response& response, To request,
                                         ChunkScanner& chunks) const;

    Socket socket_;
    std::string received_;
    std::optional<Socket::Got> end_;  ///< End or Reset, once seen.
};

}  // namespace rproxy::test
