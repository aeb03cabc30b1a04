// What receiving costs, by event loop: messages go to and fro over loopback TCP, every one received
// and sent on at once. The sending is the same in all; docs/adr/0002 has the numbers.

#include "base/endpoint.h"
#include "net/event_loop.h"
#include "net/socket.h"
#include "net/stream.h"

#include <benchmark/benchmark.h>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

namespace {

using namespace rproxy;
namespace asio = boost::asio;

constexpr std::size_t kMessage = 512;
constexpr std::uint64_t kMessagesPerRun = 20'000;
using Buffer = std::array<char, 16384>;  // the size of an exchange's

/// Both ends of one loopback connection.
using Pair = std::array<net::Fd, 2>;

Pair connect_pair() {
    const auto loopback = net::SocketAddress::of(Endpoint{"127.0.0.1", 0, {}});
    const auto listener = net::listen_on(*loopback, 1);
    if (!listener) {
        throw std::runtime_error("cannot listen");
    }
    auto client = net::start_connect(
        *net::SocketAddress::of(Endpoint{"127.0.0.1", net::local_port(listener->get()), {}}));
    // On loopback the handshake is over when connect returns.
    auto server = net::accept_one(listener->get());
    if (!client || !server || !*server) {
        throw std::runtime_error("cannot connect");
    }
    return {std::move(*client), std::move((*server)->fd)};
}

void send_message(int fd) {
    static constexpr std::array<char, kMessage> kBytes{};
    if (::send(fd, kBytes.data(), kBytes.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(kBytes.size())) {
        throw std::runtime_error("a loopback socket did not take a message");
    }
}

/// Messages of a run that are over, and how many there were to be.
struct Count {
    std::uint64_t done{0};
    bool next() { return ++done < kMessagesPerRun; }
};

/// rproxy's way: registered once, edge triggered; a read that did not fill the buffer emptied the
/// socket.
class LoopEcho final : public net::EventHandler {
public:
    LoopEcho(net::EventLoop& loop, net::Fd fd, Count& count)
        : loop_(loop), stream_(std::move(fd)), count_(count) {
        loop_.add(stream_.fd(), EPOLLIN | EPOLLRDHUP, *this);
    }

private:
    void on_event(std::uint32_t /*events*/) override {
        while (true) {
            const auto got = stream_.read(buffer_);
            if (got.status != net::IoResult::Status::Ok) {
                return;
            }
            if (!count_.next()) {
                loop_.stop();
                return;
            }
            send_message(stream_.fd());
            if (got.bytes < buffer_.size()) {
                return;
            }
        }
    }

    net::EventLoop& loop_;
    net::Stream stream_;
    Count& count_;
    Buffer buffer_;
};

class LoopRun {
public:
    void add(net::Fd fd) {
        echoes_.push_back(std::make_unique<LoopEcho>(loop_, std::move(fd), count_));
    }
    void run() { loop_.run(); }

private:
    Count count_;
    net::EventLoop loop_;
    std::vector<std::unique_ptr<LoopEcho>> echoes_;
};

// One thread, and no type-erased executor: Asio at its quickest.
using Socket = asio::basic_stream_socket<asio::ip::tcp, asio::io_context::executor_type>;

/// Asio's usual way: async_read_some tries to read before it waits.
class ReadSomeEcho {
public:
    ReadSomeEcho(asio::io_context& context, int fd, Count& count)
        : context_(context), socket_(context, asio::ip::tcp::v4(), fd), count_(count) {
        socket_.non_blocking(true);
        start();
    }

private:
    void start() {
        socket_.async_read_some(asio::buffer(buffer_),
                                [this](boost::system::error_code error, std::size_t /*bytes*/) {
                                    if (error) {
                                        return;
                                    }
                                    if (!count_.next()) {
                                        context_.stop();
                                        return;
                                    }
                                    send_message(socket_.native_handle());
                                    start();
                                });
    }

    asio::io_context& context_;
    Socket socket_;
    Count& count_;
    Buffer buffer_;
};

/// Asio without the read that finds nothing: waits for readability, then reads by itself.
class WaitEcho {
public:
    WaitEcho(asio::io_context& context, int fd, Count& count)
        : context_(context), socket_(context, asio::ip::tcp::v4(), fd), count_(count) {
        socket_.non_blocking(true);
        start();
    }

private:
    void start() {
        socket_.async_wait(Socket::wait_read, [this](boost::system::error_code error) {
            if (error || ::recv(socket_.native_handle(), buffer_.data(), buffer_.size(), 0) <= 0) {
                return;
            }
            if (!count_.next()) {
                context_.stop();
                return;
            }
            send_message(socket_.native_handle());
            start();
        });
    }

    asio::io_context& context_;
    Socket socket_;
    Count& count_;
    Buffer buffer_;
};

template <typename Echo>
class AsioRun {
public:
    void add(net::Fd fd) {
        // Asio owns the descriptor from here on.
        echoes_.push_back(std::make_unique<Echo>(context_, ::dup(fd.get()), count_));
    }
    void run() { context_.run(); }

private:
    Count count_;
    asio::io_context context_{1};
    std::vector<std::unique_ptr<Echo>> echoes_;
};

/// `range(0)` connections, on each one message under way.
template <typename Run>
void ping_pong(benchmark::State& state) {
    std::uint64_t messages = 0;
    for ([[maybe_unused]] auto _ : state) {
        state.PauseTiming();
        auto run = std::make_unique<Run>();
        for (std::int64_t i = 0; i < state.range(0); ++i) {
            Pair pair = connect_pair();
            send_message(pair[0].get());
            run->add(std::move(pair[0]));
            run->add(std::move(pair[1]));
        }
        state.ResumeTiming();
        run->run();
        messages += kMessagesPerRun;
        state.PauseTiming();
        run.reset();
        state.ResumeTiming();
    }
    state.counters["cpu_per_message"] = benchmark::Counter(
        static_cast<double>(messages), benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

BENCHMARK_TEMPLATE(ping_pong, LoopRun)->Arg(1)->Arg(64)->Unit(benchmark::kMillisecond);
BENCHMARK_TEMPLATE(ping_pong, AsioRun<WaitEcho>)->Arg(1)->Arg(64)->Unit(benchmark::kMillisecond);
BENCHMARK_TEMPLATE(ping_pong, AsioRun<ReadSomeEcho>)
    ->Arg(1)
    ->Arg(64)
    ->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
