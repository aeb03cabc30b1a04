#include "fuzz/proxy_harness.h"

#include "balancing/policy.h"
#include "config/load.h"
#include "fuzz/heads.h"
#include "fuzz/strict_http.h"
#include "net/event_loop.h"
#include "net/socket.h"
#include "proxy/proxy.h"

#include <sys/socket.h>

#include <array>
#include <utility>

namespace rproxy::fuzz {

namespace {

/// Turns without anything to see after which nothing more will happen: the longest the proxy needs
/// between two visible steps (a connection: begun, writable, written) and some.
constexpr int kQuietTurns = 6;

/// Small limits and buffers, so that small inputs reach them. Nothing is repeated: the backend is
/// asked what the client asked.
std::string config_text(const std::string& socket) {
    return "listeners: [{address: \"127.0.0.1:0\"}]\n"
           "pools: {default: {backends: [\"unix:" +
           socket +
           "\"], retry: {limit: 0}}}\n"
           "limits: {header_bytes: 2KiB, header_count: 16, request_line: 512B}\n"
           "log: {access: false}\n";
}

class BackendEnd {
public:
    explicit BackendEnd(net::Fd fd) : fd_(std::move(fd)) {}

    /// True if there was something.
    bool read() {
        std::array<char, 4096> scratch;
        const ssize_t got = fd_ ? ::recv(fd_.get(), scratch.data(), scratch.size(), 0) : 0;
        if (got > 0) {
            received_.append(scratch.data(), static_cast<std::size_t>(got));
        }
        return got > 0;
    }
    /// A request has begun that has no answer yet.
    bool awaits_answer() const {
        return fd_ && answer_.empty() && received_.find("\r\n\r\n", answered_) != std::string::npos;
    }
    void answer_with(std::string_view answer, std::size_t piece, bool close) {
        answer_ = answer;
        piece_ = piece;
        close_ = close;
        if (answer.empty()) {
            fd_.reset();
        }
    }
    /// The next piece of the answer, if one is due. True if something was done.
    bool write() {
        if (!fd_ || answer_.empty()) {
            return false;
        }
        const auto piece = answer_.substr(0, piece_);
        const ssize_t sent = ::send(fd_.get(), piece.data(), piece.size(), MSG_NOSIGNAL);
        if (sent < 0) {
            fd_.reset();
            return true;
        }
        answer_.remove_prefix(static_cast<std::size_t>(sent));
        if (answer_.empty()) {
            const auto request = strict_request(std::string_view(received_).substr(answered_));
            answered_ = request.end == StrictMessage::End::Whole ? answered_ + request.size
                                                                 : received_.size();
            if (close_) {
                fd_.reset();
            }
        }
        return true;
    }
    std::string& received() { return received_; }

private:
    net::Fd fd_;
    std::string received_;
    std::size_t answered_{0};  // bytes of requests that have their answer
    std::string_view answer_;
    std::size_t piece_{0};
    bool close_{false};
};

/// One run: both ends, moved once per turn of the loop.
class Run {
public:
    Run(const Script& script, int listener, net::Fd client)
        : script_(script), listener_(listener), client_(std::move(client)) {}

    /// Until nothing more happens.
    void play(net::EventLoop& loop, proxy::Proxy& proxy) {
        tick(loop, proxy);
        loop.run();
    }
    Transcript transcript() {
        Transcript result;
        for (auto& end : backend_) {
            result.to_backend.push_back(std::move(end.received()));
        }
        result.to_client = std::move(to_client_);
        result.client_closed = client_closed_;
        return result;
    }

private:
    void tick(net::EventLoop& loop, proxy::Proxy& proxy) {
        loop.post([this, &loop, &proxy] {
            quiet_ = step() ? 0 : quiet_ + 1;
            if (quiet_ > 2 * kQuietTurns) {
                if (client_) {
                    client_.reset();  // what the backend then sees of an unfinished request counts
                    quiet_ = 0;
                } else {
                    proxy.close_all();
                    loop.stop();
                    return;
                }
            }
            tick(loop, proxy);
        });
    }
    bool step() {
        bool moved = send_request() || read_client();
        while (auto accepted = net::accept_one(listener_)) {
            if (!*accepted) {
                break;
            }
            backend_.emplace_back(std::move((*accepted)->fd));
            moved = true;
        }
        for (auto& end : backend_) {
            moved = end.read() || moved;
        }
        if (!moved && (script_.eager || quiet_ >= kQuietTurns)) {
            moved = answer();
        }
        for (auto& end : backend_) {
            moved = end.write() || moved;
        }
        return moved;
    }
    bool send_request() {
        if (!client_ || script_.request.empty()) {
            return false;
        }
        const auto piece = script_.request.substr(0, script_.request_piece);
        const ssize_t sent = ::send(client_.get(), piece.data(), piece.size(), MSG_NOSIGNAL);
        if (sent <= 0) {
            script_.request = {};
            return false;
        }
        script_.request.remove_prefix(static_cast<std::size_t>(sent));
        return true;
    }
    bool read_client() {
        std::array<char, 4096> scratch;
        const ssize_t got = client_ && !client_closed_
                                ? ::recv(client_.get(), scratch.data(), scratch.size(), 0)
                                : -1;
        if (got > 0) {
            to_client_.append(scratch.data(), static_cast<std::size_t>(got));
        }
        client_closed_ = client_closed_ || got == 0;
        return got >= 0;
    }
    bool answer() {
        for (auto& end : backend_) {
            if (end.awaits_answer()) {
                if (std::exchange(answered_, true)) {
                    end.answer_with(kLaterAnswer, kLaterAnswer.size(), false);
                } else {
                    end.answer_with(script_.response, script_.response_piece, script_.closes);
                }
                return true;
            }
        }
        return false;
    }

    Script script_;
    int listener_;
    net::Fd client_;
    std::vector<BackendEnd> backend_;
    std::string to_client_;
    bool client_closed_{false};
    bool answered_{false};
    int quiet_{0};
};

}  // namespace

ProxyHarness::ProxyHarness() {
    const std::string socket = dir_ / "backend";
    auto listening = net::listen_on(net::SocketAddress::unix_path(socket), 64);
    auto loaded = config::load(config_text(socket));
    require(listening.has_value() && loaded.has_value());
    loaded->buffer_size = ByteSize{64};  // less than the file may say
    listener_ = std::move(*listening);
    client_listener_ = std::make_shared<runtime::ListenerState>("fuzz", 1);
    auto plan = std::make_shared<runtime::Plan>();
    plan->snapshot = std::make_shared<const config::Snapshot>(std::move(*loaded));
    plan->generation = plan->revision = 1;
    auto& pool = plan->pools.emplace_back();
    pool.config = plan->snapshot->pools.front();
    pool.state = std::make_shared<backends::PoolState>(pool.config.name, 0, 1);
    const auto& backend = pool.config.backends.front();
    const auto address = backend.address.to_string();
    auto& member = pool.backends.emplace_back();
    member.backend =
        std::make_shared<backends::Backend>(backends::BackendKey{pool.config.name, address},
                                            *net::SocketAddress::of(backend.address), 1);
    member.name = backend.name;
    member.address = address;
    plan->routes = routing::RouteTable(plan->snapshot->routes, plan->snapshot->pools);
    plan_ = std::move(plan);
}

Transcript ProxyHarness::run(const Script& script) {
    std::array<int, 2> pair{};
    require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair.data()) == 0);
    net::Fd theirs(pair[0]);
    net::EventLoop loop;
    proxy::Proxy proxy(loop, proxy::Proxy::Options{});
    auto policy = std::make_shared<runtime::PoolPolicy>();
    auto& pool = plan_->pools.front();
    const balancing::Member member{1, 1, true, &pool.backends.front().backend->load()};
    policy->policy = balancing::make_policy(pool.config.method, {&member, 1}, pool.state->cursor());
    proxy::Proxy::Assignment assignment;
    assignment.stable = {plan_, {policy}};
    proxy.apply(std::move(assignment), {});
    proxy.accept({std::move(theirs), {}}, {client_listener_, 80, false, nullptr});
    Run run(script, listener_.get(), net::Fd(pair[1]));
    run.play(loop, proxy);
    // Whatever waits to be accepted belongs to this run.
    while (auto left = net::accept_one(listener_.get())) {
        if (!*left) {
            break;
        }
    }
    return run.transcript();
}

}  // namespace rproxy::fuzz
