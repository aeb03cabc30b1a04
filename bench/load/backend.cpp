// The backend of bench/load: answers as cheaply as HTTP/1.1 over epoll can.
//
// The path says what to answer: /512 (bytes), /16k and /1m (KiB, MiB), /post (reads the body),
// /status/NNN (an error with a short body). Every answer is built once and sent from memory.
// Connections stay open; pipelined requests are answered in order. With --delay-ms each answer
// leaves that much later: a slow backend. On --collector-port it takes whatever comes and throws
// it away: where an access log goes. With --any-address it is reached by every address of the host,
// so that one process is as many backends as 127.0.0.0/8 has addresses.

#include "arguments.h"
#include "sockets.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <deque>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace rproxy::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kDiscardAtOnce = 1U << 20U;

/// Every answer that was asked for so far, by path; they live as long as the program.
class Answers {
public:
    std::string_view find(std::string_view path) {
        const auto known = answers_.find(path);
        if (known != answers_.end()) {
            return known->second;
        }
        return answers_.emplace(std::string(path), build(path)).first->second;
    }

private:
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const {
            return std::hash<std::string_view>{}(text);
        }
    };

    static std::string build(std::string_view path) {
        if (path.starts_with("/status/")) {
            return render(std::string(path.substr(8)) + " Asked", 128);
        }
        if (path == "/post" || path == "/healthz") {
            return render("200 OK", 2);
        }
        std::size_t size = 0;
        const auto* last = path.data() + path.size();
        const auto [end, error] = std::from_chars(path.data() + 1, last, size);
        const std::string_view unit(end, last);
        if (error != std::errc{} || (!unit.empty() && unit != "k" && unit != "m")) {
            return render("404 Not Found", 128);
        }
        return render("200 OK", unit == "m" ? size << 20U : unit == "k" ? size << 10U : size);
    }

    static std::string render(const std::string& status, std::size_t size) {
        return "HTTP/1.1 " + status +
               "\r\nContent-Type: text/plain\r\nCache-Control: no-store\r\nContent-Length: " +
               std::to_string(size) + "\r\n\r\n" + std::string(size, 'x');
    }

    std::unordered_map<std::string, std::string, Hash, std::equal_to<>> answers_;
};

struct Connection {
    Descriptor socket;
    std::string received;                 ///< A head that is not complete yet.
    std::size_t body_left{0};             ///< Of the request that is being read.
    std::string_view answer_after_body;   ///< Due when `body_left` reaches 0.
    std::deque<std::string_view> unsent;  ///< Views into Answers.
    std::size_t delayed{0};               ///< Answers that wait in Backend::delayed_.
    bool doomed{false};
    bool waits_to_write{false};
};

/// The declared length of a request's body; a request without one has none.
std::size_t content_length(std::string_view head) {
    constexpr std::string_view kName = "content-length:";
    const auto same = [](char a, char b) {
        return std::tolower(static_cast<unsigned char>(a)) == b;
    };
    const auto found = std::ranges::search(head, kName, same);
    if (found.empty()) {
        return 0;
    }
    std::string_view value(found.end(), head.end());
    value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
    return parse_number(value.substr(0, value.find('\r')));
}

class Backend {
public:
    Backend(const std::vector<std::uint16_t>& ports, Reach reach, std::chrono::milliseconds delay)
        : delay_(delay) {
        for (const auto port : ports) {
            listeners_.push_back(std::make_unique<Descriptor>(listen_on(port, reach)));
            epoll_.add(*listeners_.back(), EPOLLIN, listeners_.back().get());
        }
    }

    void collect_on(std::uint16_t port) {
        collector_ = listen_on(port);
        epoll_.add(collector_, EPOLLIN, &collector_);
    }

    [[noreturn]] void run() {
        for (;;) {
            for (const auto& event : epoll_.wait(until_next_answer())) {
                handle(event);
            }
            send_delayed();
            graveyard_.clear();
        }
    }

private:
    struct Delayed {
        Clock::time_point due;
        std::shared_ptr<Connection> connection;
        std::string_view answer;
    };

    void handle(const epoll_event& event) {
        const auto is_this = [&](const auto& listener) { return listener.get() == event.data.ptr; };
        const auto listener = std::ranges::find_if(listeners_, is_this);
        if (listener != listeners_.end()) {
            accept_all(**listener, 0);
            return;
        }
        if (event.data.ptr == &collector_) {
            // One body that never ends: read() throws it away.
            accept_all(collector_, std::numeric_limits<std::size_t>::max());
            return;
        }
        auto& connection = *static_cast<Connection*>(event.data.ptr);
        if ((event.events & EPOLLOUT) != 0 && !connection.doomed) {
            flush(connection);
        }
        if ((event.events & ~EPOLLOUT) != 0 && !connection.doomed) {
            read(connection);
        }
    }

    void accept_all(const Descriptor& listener, std::size_t body) {
        while (auto socket = accept_from(listener)) {
            auto connection = std::make_shared<Connection>();
            connection->socket = std::move(*socket);
            connection->body_left = body;
            epoll_.add(connection->socket, EPOLLIN, connection.get());
            const auto slot = static_cast<std::size_t>(connection->socket.get());
            if (connections_.size() <= slot) {
                connections_.resize(slot + 1);
            }
            connections_[slot] = std::move(connection);
        }
    }

    void read(Connection& connection) {
        if (connection.body_left > 0) {
            const auto thrown =
                discard(connection.socket, std::min(connection.body_left, kDiscardAtOnce));
            if (thrown.how == Transfer::Closed) {
                close(connection);
            } else if (thrown.bytes > 0) {
                finish_body(connection, thrown.bytes);
                flush(connection);
            }
            return;
        }
        const auto got = receive(connection.socket, buffer_);
        if (got.how == Transfer::Closed) {
            close(connection);
        } else if (got.bytes > 0) {
            take(connection, std::string_view(buffer_.data(), got.bytes));
            flush(connection);
        }
    }

    void take(Connection& connection, std::string_view bytes) {
        if (!connection.received.empty()) {
            connection.received += bytes;
            const auto whole = std::exchange(connection.received, {});
            parse(connection, whole);
        } else {
            parse(connection, bytes);
        }
    }

    void parse(Connection& connection, std::string_view bytes) {
        while (!bytes.empty()) {
            const auto end = bytes.find("\r\n\r\n");
            if (end == std::string_view::npos) {
                connection.received = bytes;
                return;
            }
            const auto head = bytes.substr(0, end + 4);
            bytes.remove_prefix(head.size());
            const auto target = head.find(' ') + 1;
            const auto path = head.substr(target, head.find(' ', target) - target);
            const auto answer = answers_.find(path);
            const auto body = head.starts_with("GET ") ? 0 : content_length(head);
            if (body == 0) {
                reply(connection, answer);
                continue;
            }
            connection.body_left = body;
            connection.answer_after_body = answer;
            const auto here = std::min(body, bytes.size());
            bytes.remove_prefix(here);
            finish_body(connection, here);
        }
    }

    void finish_body(Connection& connection, std::size_t bytes) {
        connection.body_left -= bytes;
        if (connection.body_left == 0) {
            reply(connection, connection.answer_after_body);
        }
    }

    void reply(Connection& connection, std::string_view answer) {
        if (delay_.count() == 0) {
            connection.unsent.push_back(answer);
            return;
        }
        const auto slot = static_cast<std::size_t>(connection.socket.get());
        delayed_.push_back({Clock::now() + delay_, connections_[slot], answer});
    }

    std::optional<std::chrono::nanoseconds> until_next_answer() const {
        if (delayed_.empty()) {
            return std::nullopt;
        }
        return delayed_.front().due - Clock::now();
    }

    void send_delayed() {
        while (!delayed_.empty() && delayed_.front().due <= Clock::now()) {
            const auto next = std::move(delayed_.front());
            delayed_.pop_front();
            if (!next.connection->doomed) {
                next.connection->unsent.push_back(next.answer);
                flush(*next.connection);
            }
        }
    }

    void flush(Connection& connection) {
        auto& unsent = connection.unsent;
        while (!unsent.empty()) {
            const auto sent = send(connection.socket, unsent.front());
            if (sent.how == Transfer::Closed) {
                close(connection);
                return;
            }
            unsent.front().remove_prefix(sent.bytes);
            if (!unsent.front().empty()) {
                break;
            }
            unsent.pop_front();
        }
        if (connection.waits_to_write == unsent.empty()) {
            connection.waits_to_write = !unsent.empty();
            // A client that does not read is not read from either: its queue stays bounded.
            epoll_.change(connection.socket, unsent.empty() ? EPOLLIN : EPOLLOUT, &connection);
        }
    }

    void close(Connection& connection) {
        const auto slot = static_cast<std::size_t>(connection.socket.get());
        connection.doomed = true;
        connection.socket.close();
        graveyard_.push_back(std::move(connections_[slot]));
    }

    std::chrono::milliseconds delay_;
    Epoll epoll_;
    Descriptor collector_;
    Answers answers_;
    std::vector<std::unique_ptr<Descriptor>> listeners_;
    std::vector<std::shared_ptr<Connection>> connections_;  ///< By descriptor.
    std::vector<std::shared_ptr<Connection>> graveyard_;    ///< Until this turn's events are done.
    std::deque<Delayed> delayed_;                           ///< One delay for all: in order.
    std::array<char, 65536> buffer_{};
};

}  // namespace
}  // namespace rproxy::bench

int main(int argc, char** argv) {
    const rproxy::bench::Arguments arguments(
        argc, argv, {"ports", "delay-ms", "collector-port", "any-address"});
    rproxy::bench::prepare_process();
    const std::chrono::milliseconds delay{arguments.number("delay-ms", 0)};
    const auto reach = arguments.has("any-address") ? rproxy::bench::Reach::AnyAddress
                                                    : rproxy::bench::Reach::Loopback;
    const auto backend =
        std::make_unique<rproxy::bench::Backend>(arguments.ports("ports"), reach, delay);
    if (arguments.has("collector-port")) {
        backend->collect_on(arguments.ports("collector-port").front());
    }
    backend->run();
}
