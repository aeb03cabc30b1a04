// The load generator of bench/load, on one thread.
//
// Without --rate each connection asks again as soon as it is answered (closed loop: how much can
// the proxy do). With --rate requests are due at times that do not depend on the answers (open
// loop: how long does a user wait); latency counts from the time a request was due, so a stall
// is charged to every request that it delayed (no coordinated omission). With --hold each
// connection asks once and is then kept open until stdin ends. With --tls full or --tls resume it
// speaks TLS 1.3, new connections with or without a session of before. Prints one line of JSON.

#include "arguments.h"
#include "histogram.h"
#include "sockets.h"
#include "tls.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace rproxy::bench {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::nanoseconds;

constexpr std::chrono::seconds kDrainLimit{5};

/// The requests to send, in an order that repeats and holds each path as often as its weight says.
class Requests {
public:
    explicit Requests(const Arguments& arguments) {
        const auto paths = arguments.text("paths", "/512");
        for (const auto part : split_commas(paths)) {
            const auto colon = part.find(':');
            const auto weight =
                colon == std::string_view::npos ? 1 : parse_number(part.substr(colon + 1));
            order_.insert(order_.end(), weight, texts_.size());
            texts_.push_back(render(part.substr(0, colon), arguments));
        }
        std::mt19937_64 random(
            1);  // NOLINT(cert-msc51-cpp): the same order in each run is the point
        std::ranges::shuffle(order_, random);
    }

    std::string_view next() {
        position_ = (position_ + 1) % order_.size();
        return texts_[order_[position_]];
    }

private:
    static std::string render(std::string_view path, const Arguments& arguments) {
        const auto body = arguments.number("body-bytes", 0);
        std::string text = (body > 0 ? "POST " : "GET ") + std::string(path) + " HTTP/1.1\r\n" +
                           "Host: 127.0.0.1:" + arguments.text("port", "") + "\r\n";
        for (std::uint64_t i = 0; i < arguments.number("headers", 0); ++i) {
            // As long as a browser's header lines are on average.
            text += "X-Bench-Header-" + std::to_string(i) + ": " + std::string(40, 'v') + "\r\n";
        }
        if (body > 0) {
            text += "Content-Type: text/plain\r\nContent-Length: " + std::to_string(body) + "\r\n";
        }
        return text + "\r\n" + std::string(body, 'b');
    }

    std::vector<std::string> texts_;
    std::vector<std::size_t> order_;
    std::size_t position_{0};
};

/// When requests are due: evenly spaced, or as a Poisson process, which is how many independent
/// users arrive.
class Schedule {
public:
    Schedule(double rate, bool even, Clock::time_point start)
        : gap_(1e9 / rate), even_(even), due_(start) {}

    Clock::time_point due() const { return due_; }
    void advance() {
        const double gap = even_ ? gap_ : gap_ * exponential_(random_);
        due_ += nanoseconds{std::llround(gap)};
    }

private:
    double gap_;
    bool even_;
    Clock::time_point due_;
    std::mt19937_64 random_{1};  // NOLINT(cert-msc51-cpp): every proxy gets the same arrivals
    std::exponential_distribution<double> exponential_;
};

/// What the head of a response says.
struct Head {
    unsigned status{0};
    std::size_t length{0};
    bool has_length{false};
    bool closes{false};
};

/// The value of the field when `line` is that field; `name` is lower case with its colon.
std::string_view value_of(std::string_view line, std::string_view name) {
    const auto same = [](char a, char b) {
        return std::tolower(static_cast<unsigned char>(a)) == b;
    };
    if (line.size() <= name.size() ||
        !std::ranges::equal(line.substr(0, name.size()), name, same)) {
        return {};
    }
    line.remove_prefix(name.size());
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    return line;
}

Head parse_head(std::string_view text) {
    Head head;
    if (text.size() >= 12) {
        head.status = static_cast<unsigned>(parse_number(text.substr(9, 3)));
    }
    auto line_start = text.find("\r\n") + 2;
    while (line_start < text.size()) {
        const auto line_end = text.find("\r\n", line_start);
        const auto line = text.substr(line_start, line_end - line_start);
        line_start = line_end + 2;
        if (const auto length = value_of(line, "content-length:"); !length.empty()) {
            head.length = parse_number(length);
            head.has_length = true;
        } else if (value_of(line, "connection:") == "close") {
            head.closes = true;
        }
    }
    return head;
}

struct Connection {
    Descriptor socket;
    std::unique_ptr<TlsClient::Session> tls{};  ///< Null: in plain.
    std::string_view unsent;                    ///< Of the request, which Requests owns.
    std::string partial_head;
    std::size_t body_left{0};
    Clock::time_point asked;  ///< When the request was due.
    bool busy{false};         ///< Has a request in flight.
    bool in_body{false};
    bool closes{false};  ///< The server will close after this answer.
    bool waits_to_write{false};
};

struct Totals {
    std::array<std::uint64_t, 6> by_class{};  ///< Answers by the first digit of their status.
    std::uint64_t answers{0};
    std::uint64_t failures{0};  ///< Requests whose connection ended before the answer did.
    std::uint64_t reopened{0};  ///< Idle connections that the server closed.
    std::uint64_t bytes{0};
    std::uint64_t slow{0};     ///< Answers that took longer than --slow-ms.
    std::uint64_t resumed{0};  ///< TLS connections that went on with an earlier session.
};

class Client {
public:
    explicit Client(const Arguments& arguments)
        : requests_(arguments),
          port_(arguments.ports("port").front()),
          new_connection_(arguments.has("new-connection")),
          slow_(arguments.number("slow-ms", 1000)),
          connections_(arguments.number("connections", 64)) {
        if (arguments.has("tls")) {
            tls_ = std::make_unique<TlsClient>(arguments.text("tls", "") == "resume");
        }
    }

    /// Opens the connections and sends each one request, one after the other.
    void open_all() {
        for (auto& connection : connections_) {
            open(connection);
            start(connection, Clock::now());
            while (connection.busy) {
                turn(std::nullopt);
            }
        }
    }

    /// How many connections the server has kept open since open_all().
    std::size_t count_open() {
        turn(nanoseconds{0});
        return connections_.size() - totals_.reopened;
    }

    void run_closed(nanoseconds length) {
        const auto end = Clock::now() + length;
        for (auto& connection : connections_) {
            open(connection);
            idle_.push_back(&connection);
        }
        for (auto now = Clock::now(); now < end; now = Clock::now()) {
            for (auto* connection : std::exchange(idle_, {})) {
                start(*connection, Clock::now());
            }
            turn(end - now);
        }
        drain();
    }

    void run_open(nanoseconds length, double rate, bool even) {
        for (auto& connection : connections_) {
            open(connection);
            idle_.push_back(&connection);
        }
        const auto begin = Clock::now();
        const auto end = begin + length;
        Schedule schedule(rate, even, begin);
        for (auto now = begin; now < end; now = Clock::now()) {
            for (; schedule.due() <= now; schedule.advance()) {
                waiting_.push_back(schedule.due());
            }
            start_waiting();
            turn(std::min(schedule.due(), end) - Clock::now());
        }
        drain();
    }

    void print(nanoseconds elapsed) const {
        const auto us = [this](double share) {
            return static_cast<double>(latency_.quantile(share).count()) / 1e3;
        };
        const auto busy = std::ranges::count_if(connections_, &Connection::busy);
        std::printf(
            "{\"requests\":%llu,\"seconds\":%.4f,\"ok\":%llu,\"status_4xx\":%llu,"
            "\"status_5xx\":%llu,\"failures\":%llu,\"unfinished\":%llu,\"reopened\":%llu,"
            "\"bytes\":%llu,\"slow\":%llu,\"resumed\":%llu,\"p50_us\":%.1f,\"p90_us\":%.1f,\"p99_"
            "us\":%.1f,\"p999_"
            "us\":%.1f,"
            "\"max_us\":%.1f}\n",
            number(totals_.answers), static_cast<double>(elapsed.count()) / 1e9,
            number(totals_.by_class[2]), number(totals_.by_class[4]), number(totals_.by_class[5]),
            number(totals_.failures), number(static_cast<std::uint64_t>(busy) + waiting_.size()),
            number(totals_.reopened), number(totals_.bytes), number(totals_.slow),
            number(totals_.resumed), us(0.5), us(0.9), us(0.99), us(0.999), us(1));
    }

private:
    static unsigned long long number(std::uint64_t value) { return value; }

    void open(Connection& connection) {
        connection = Connection{};
        connection.socket = connect_to(port_);
        if (tls_) {
            connection.tls = tls_->begin(connection.socket);
        }
        epoll_.add(connection.socket, EPOLLIN, &connection);
    }

    void start(Connection& connection, Clock::time_point due) {
        connection.asked = due;
        connection.busy = true;
        connection.unsent = requests_.next();
        write(connection);
    }

    void start_waiting() {
        while (!waiting_.empty() && !idle_.empty()) {
            auto* connection = idle_.front();
            idle_.pop_front();
            start(*connection, waiting_.front());
            waiting_.pop_front();
        }
    }

    /// Waits for events once and handles them.
    void turn(std::optional<nanoseconds> limit) {
        for (const auto& event : epoll_.wait(limit)) {
            auto& connection = *static_cast<Connection*>(event.data.ptr);
            if ((event.events & EPOLLOUT) != 0) {
                write(connection);
            }
            if ((event.events & ~EPOLLOUT) != 0) {
                if (connection.tls && !connection.unsent.empty()) {
                    write(connection);  // the handshake, which comes before the request
                } else {
                    read(connection);
                }
            }
        }
    }

    void drain() {
        const auto limit = Clock::now() + kDrainLimit;
        const auto is_busy = [this] {
            return !waiting_.empty() || std::ranges::any_of(connections_, &Connection::busy);
        };
        while (is_busy() && Clock::now() < limit) {
            start_waiting();
            turn(limit - Clock::now());
        }
    }

    void write(Connection& connection) {
        while (!connection.unsent.empty()) {
            const auto sent = connection.tls ? connection.tls->send(connection.unsent)
                                             : send(connection.socket, connection.unsent);
            if (sent.how == Transfer::Closed) {
                lose(connection);
                return;
            }
            if (sent.how == Transfer::Later) {
                break;
            }
            connection.unsent.remove_prefix(sent.bytes);
        }
        // In a handshake it is the server that must write.
        if (!connection.tls && connection.waits_to_write == connection.unsent.empty()) {
            connection.waits_to_write = !connection.unsent.empty();
            epoll_.change(connection.socket,
                          connection.waits_to_write ? EPOLLIN | EPOLLOUT : EPOLLIN, &connection);
        }
    }

    void read_tls(Connection& connection) {
        do {
            const auto got = connection.tls->receive(buffer_);
            if (got.how == Transfer::Closed) {
                lose(connection);
                return;
            }
            if (got.how == Transfer::Later) {
                return;
            }
            if (connection.in_body) {
                take_body(connection, got.bytes);
            } else {
                take_head(connection, std::string_view(buffer_.data(), got.bytes));
            }
        } while (connection.busy || connection.tls->has_more());
    }

    void read(Connection& connection) {
        if (connection.tls) {
            read_tls(connection);
            return;
        }
        if (connection.in_body) {
            const auto thrown = discard(connection.socket, connection.body_left);
            if (thrown.how == Transfer::Closed) {
                lose(connection);
            } else {
                take_body(connection, thrown.bytes);
            }
            return;
        }
        const auto got = receive(connection.socket, buffer_);
        if (got.how == Transfer::Closed) {
            lose(connection);
        } else if (got.bytes > 0) {
            take_head(connection, std::string_view(buffer_.data(), got.bytes));
        }
    }

    void take_head(Connection& connection, std::string_view bytes) {
        std::string joined;
        if (!connection.partial_head.empty()) {
            joined = std::exchange(connection.partial_head, {}) + std::string(bytes);
            bytes = joined;
        }
        const auto end = bytes.find("\r\n\r\n");
        if (end == std::string_view::npos) {
            connection.partial_head = bytes;
            return;
        }
        const auto head = parse_head(bytes.substr(0, end + 2));
        if (!connection.busy || !head.has_length || head.status < 200 || head.status > 599) {
            fail("an answer that this client does not understand: " +
                 std::string(bytes.substr(0, end)));
        }
        ++totals_.by_class[head.status / 100];
        connection.closes = head.closes;
        connection.in_body = true;
        connection.body_left = head.length;
        totals_.bytes += end + 4;
        take_body(connection, bytes.size() - (end + 4));
    }

    void take_body(Connection& connection, std::size_t bytes) {
        connection.body_left -= std::min(bytes, connection.body_left);
        totals_.bytes += bytes;
        if (connection.body_left > 0) {
            return;
        }
        const auto took = Clock::now() - connection.asked;
        latency_.record(took);
        totals_.slow += took > slow_ ? 1 : 0;
        ++totals_.answers;
        totals_.resumed += connection.tls && connection.tls->resumed() ? 1 : 0;
        connection.busy = false;
        connection.in_body = false;
        if (new_connection_ || connection.closes) {
            open(connection);
        }
        idle_.push_back(&connection);
    }

    /// The server has closed: an idle connection is replaced, a request in flight has failed.
    void lose(Connection& connection) {
        if (connection.busy) {
            ++totals_.failures;
            open(connection);
            idle_.push_back(&connection);
        } else {
            ++totals_.reopened;
            open(connection);
        }
    }

    Requests requests_;
    std::uint16_t port_;
    bool new_connection_;
    std::chrono::milliseconds slow_;
    Epoll epoll_;
    std::vector<Connection> connections_;
    std::deque<Connection*> idle_;
    std::deque<Clock::time_point> waiting_;  ///< Due, but every connection is busy.
    Histogram latency_;
    Totals totals_;
    std::unique_ptr<TlsClient> tls_;  // null: in plain
    std::array<char, 65536> buffer_{};
};

void hold(Client& client) {
    client.open_all();
    std::printf("{\"ready\":true}\n");
    std::fflush(stdout);
    char byte = 0;
    while (::read(STDIN_FILENO, &byte, 1) > 0) {
    }
    std::printf("{\"open\":%zu}\n", client.count_open());
}

int run(const Arguments& arguments) {
    const auto client = std::make_unique<Client>(arguments);
    if (arguments.has("hold")) {
        hold(*client);
        return 0;
    }
    const nanoseconds length{std::llround(arguments.real("seconds", 4) * 1e9)};
    const auto begin = Clock::now();
    if (arguments.has("rate")) {
        client->run_open(length, arguments.real("rate", 1), arguments.has("even"));
    } else {
        client->run_closed(length);
    }
    client->print(Clock::now() - begin);
    return 0;
}

}  // namespace
}  // namespace rproxy::bench

int main(int argc, char** argv) {
    const rproxy::bench::Arguments arguments(
        argc, argv,
        {"port", "connections", "seconds", "rate", "even", "paths", "body-bytes", "headers",
         "new-connection", "slow-ms", "hold", "tls"});
    rproxy::bench::prepare_process();
    return rproxy::bench::run(arguments);
}
