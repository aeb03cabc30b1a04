#pragma once

#include "base/thread_annotations.h"
#include "support/http_text.h"
#include "support/socket.h"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace rproxy::test {

using Headers = std::vector<std::pair<std::string, std::string>>;

/// What a FakeBackend does with one request. Made by the functions below; fields may be changed.
struct Reply {
    int status{200};
    Headers headers;  ///< A Content-Length or Transfer-Encoding given here replaces the own one.
    std::string body;
    std::optional<std::vector<std::string>> chunks;  ///< Sent chunked, instead of body.
    Headers trailers;                                ///< With chunks.
    std::optional<std::string> raw;                  ///< These bytes, instead of all above.
    std::string interim;                             ///< Raw bytes before all (`HTTP/1.1 103 …`).

    std::chrono::milliseconds delay{0};  ///< Before all.
    bool stall_before_head{false};       ///< Nothing is sent until release() or the peer goes.
    bool stall_after_head{false};
    bool close_after_head{false};  ///< Whatever the head promised.
    bool close_after{false};       ///< When all is sent; delimits the body if `until_close`.
    bool until_close{false};       ///< No Content-Length: the close ends the body.
    bool before_body{false};       ///< Answers without having read the request's body.
    bool echo_after{false};        ///< A tunnel: sends back all that comes, to its end.
    std::optional<std::size_t> reset_after;  ///< RST when so many bytes of the reply are sent.
};

Reply respond(int status, Headers headers = {}, std::string body = {});
Reply chunked(std::vector<std::string> chunks, Headers trailers = {});
Reply raw(std::string bytes);
Reply stall_before_head();
Reply stall_after_head(Reply reply);
Reply close_after_head(Reply reply);
Reply slow(std::chrono::milliseconds delay, Reply reply);
Reply reset_after(std::size_t bytes, Reply reply = {});
/// Reads the request's head and closes without a word.
Reply hang_up();
/// `101 Switching Protocols`, then an echo.
Reply upgrade(const std::string& protocol);

struct ReceivedRequest {
    std::string raw;   ///< All of it, byte for byte.
    std::string head;  ///< With the request line and the empty line.
    std::string body;  ///< Content, without chunk framing.
    std::string trailers;
    std::string method;
    std::string target;
    std::uint64_t connection{0};  ///< The how-manieth this backend accepted, from 1.
    bool complete{false};         ///< False: the peer left before its end.
    std::optional<std::string> header(std::string_view name) const { return field(head, name); }
};

/// A scripted HTTP/1.1 backend on 127.0.0.1: one thread accepts, one serves each connection with
/// blocking calls, so that it shares nothing with what it tests. Any thread may script and ask.
class FakeBackend {
public:
    /// Listens at once on a free port.
    FakeBackend();
    ~FakeBackend();
    FakeBackend(const FakeBackend&) = delete;
    FakeBackend& operator=(const FakeBackend&) = delete;
    FakeBackend(FakeBackend&&) = delete;
    FakeBackend& operator=(FakeBackend&&) = delete;

    std::uint16_t port() const { return port_; }
    std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

    // The script: what was enqueued first, else what is set for the path, else the default
    // (200, `ok`).
    void enqueue(Reply reply);
    void on(const std::string& path, Reply reply);  ///< Path without query.
    void otherwise(Reply reply);
    /// Ends all stalls, present and future ones.
    void release() { released_.store(true); }

    std::vector<ReceivedRequest> requests() const;
    std::size_t request_count() const;
    /// False if there are not so many in time.
    bool wait_for_requests(std::size_t count) const;
    std::uint64_t connections_accepted() const { return accepted_.load(); }
    std::size_t connections_open() const { return open_.load(); }
    /// Connections that the peer left while a reply stalled.
    std::size_t abandoned() const { return abandoned_.load(); }

    /// As a crash: the port refuses, open connections are closed.
    void stop();
    /// On the same port; requests and script are kept.
    void start_again();

private:
    /// The serving thread alone uses the socket; the lock is only there so that stop() does not
    /// shut down a descriptor that has just been closed.
    struct Connection {
        Mutex closing;
        Socket socket;
        std::thread thread;
        std::atomic<bool> done{false};
    };
    enum class Next : std::uint8_t { KeepAlive, Close, Reset };

    void accept_all();
    void reap();
    void serve(Connection& connection, std::uint64_t number);
    Next serve_one(const Socket& socket, std::string& bytes, std::uint64_t number);
    static bool read_head(const Socket& socket, std::string& bytes, ReceivedRequest& request);
    static bool read_body(const Socket& socket, std::string& bytes, ReceivedRequest& request);
    static void echo(const Socket& socket, std::string bytes);
    Next answer(const Socket& socket, const Reply& reply, const ReceivedRequest& request);
    bool stall(const Socket& socket);
    Reply reply_to(const ReceivedRequest& request);
    void record(ReceivedRequest request);

    Socket listener_;
    std::uint16_t port_{0};
    std::thread acceptor_;
    std::list<std::unique_ptr<Connection>>
        connections_;  ///< The acceptor's, and stop()'s after it.
    std::atomic<bool> stopping_{false};
    std::atomic<bool> released_{false};
    std::atomic<std::uint64_t> accepted_{0};
    std::atomic<std::size_t> open_{0};
    std::atomic<std::size_t> abandoned_{0};

    mutable Mutex mutex_;
    std::deque<Reply> queue_ RPROXY_GUARDED_BY(mutex_);
    std::map<std::string, Reply> by_path_ RPROXY_GUARDED_BY(mutex_);
    Reply otherwise_ RPROXY_GUARDED_BY(mutex_);
    std::vector<ReceivedRequest> requests_ RPROXY_GUARDED_BY(mutex_);
};

}  // namespace rproxy::test
