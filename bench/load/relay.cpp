// The floor of bench/load: what two receives and two sends cost when nothing is parsed.
//
// Pairs each client connection with a backend connection and copies bytes both ways. When the
// client closes after an answer, the backend connection is kept for the next client, as a proxy
// would; a relay that does not parse can only assume that the answer was complete, which holds
// for bench_client.

#include "arguments.h"
#include "sockets.h"

#include <array>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace rproxy::bench {
namespace {

struct Side {
    Descriptor socket;
    Side* peer{nullptr};
    bool is_client{false};
    bool doomed{false};     ///< Closed in this turn; freed after its last event.
    bool reading{true};     ///< Registered for reading.
    bool connected{false};  ///< Has been seen writable; a client is from the start.
    bool sent_last{false};  ///< The last bytes that passed went from here to the peer.
    std::string unsent;     ///< Bytes for this side that its socket would not take.
};

class Relay {
public:
    Relay(std::uint16_t port, std::vector<std::uint16_t> backends)
        : listener_(listen_on(port)), backends_(std::move(backends)) {
        epoll_.add(listener_, EPOLLIN, nullptr);
    }

    [[noreturn]] void run() {
        for (;;) {
            for (const auto& event : epoll_.wait(std::nullopt)) {
                if (event.data.ptr == nullptr) {
                    accept_all();
                } else {
                    handle(*static_cast<Side*>(event.data.ptr), event.events);
                }
            }
            graveyard_.clear();
        }
    }

private:
    void accept_all() {
        while (auto socket = accept_from(listener_)) {
            auto* client = new_side(std::move(*socket), true);
            auto* backend = take_backend();
            client->peer = backend;
            backend->peer = client;
        }
    }

    Side* new_side(Descriptor socket, bool is_client) {
        auto side = std::make_unique<Side>();
        side->socket = std::move(socket);
        side->is_client = is_client;
        side->connected = is_client;
        auto* raw = side.get();
        const auto slot = static_cast<std::size_t>(raw->socket.get());
        if (sides_.size() <= slot) {
            sides_.resize(slot + 1);
        }
        sides_[slot] = std::move(side);
        epoll_.add(raw->socket, is_client ? EPOLLIN : EPOLLIN | EPOLLOUT, raw);
        return raw;
    }

    Side* take_backend() {
        if (!idle_.empty()) {
            auto* backend = idle_.back();
            idle_.pop_back();
            return backend;
        }
        next_ = (next_ + 1) % backends_.size();
        return new_side(connect_to(backends_[next_]), false);
    }

    void handle(Side& side, std::uint32_t events) {
        if (side.doomed) {
            return;
        }
        if ((events & EPOLLOUT) != 0) {
            side.connected = true;
            flush(side);
        }
        if (!side.doomed && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
            copy_from(side);
        }
    }

    void copy_from(Side& side) {
        const auto received = receive(side.socket, buffer_);
        if (received.how == Transfer::Later) {
            return;
        }
        if (received.how == Transfer::Closed) {
            end(side);
            return;
        }
        if (side.peer == nullptr) {
            close(side);  // an idle backend that speaks unasked
            return;
        }
        auto& peer = *side.peer;
        side.sent_last = true;
        peer.sent_last = false;
        const std::span<const char> bytes(buffer_.data(), received.bytes);
        const auto sent = peer.connected ? send(peer.socket, bytes) : Moved{};
        if (sent.how == Transfer::Closed) {
            end(peer);
        } else if (sent.bytes < bytes.size()) {
            peer.unsent.append(bytes.data() + sent.bytes, bytes.size() - sent.bytes);
            side.reading = false;
            register_interest(side);
            register_interest(peer);
        }
    }

    void flush(Side& side) {
        if (!side.unsent.empty()) {
            const auto sent = send(side.socket, side.unsent);
            if (sent.how == Transfer::Closed) {
                end(side);
                return;
            }
            side.unsent.erase(0, sent.bytes);
        }
        if (side.unsent.empty() && side.peer != nullptr && !side.peer->reading) {
            side.peer->reading = true;
            register_interest(*side.peer);
        }
        register_interest(side);
    }

    void register_interest(Side& side) {
        const std::uint32_t in = side.reading ? EPOLLIN : 0U;
        const std::uint32_t out = side.unsent.empty() && side.connected ? 0U : EPOLLOUT;
        epoll_.change(side.socket, in | out, &side);
    }

    /// `side` has closed: its partner goes too, unless it is a backend that has answered in full.
    void end(Side& side) {
        auto* peer = side.peer;
        close(side);
        if (peer == nullptr) {
            return;
        }
        peer->peer = nullptr;
        if (!peer->is_client && peer->sent_last && peer->unsent.empty()) {
            peer->sent_last = false;
            idle_.push_back(peer);
        } else {
            close(*peer);
        }
    }

    void close(Side& side) {
        std::erase(idle_, &side);
        const auto slot = static_cast<std::size_t>(side.socket.get());
        side.doomed = true;
        side.socket.close();
        graveyard_.push_back(std::move(sides_[slot]));
    }

    Epoll epoll_;
    Descriptor listener_;
    std::vector<std::uint16_t> backends_;
    std::size_t next_{0};
    std::vector<std::unique_ptr<Side>> sides_;  ///< By descriptor.
    std::vector<Side*> idle_;
    std::vector<std::unique_ptr<Side>> graveyard_;
    std::array<char, 65536> buffer_{};
};

}  // namespace
}  // namespace rproxy::bench

int main(int argc, char** argv) {
    using rproxy::bench::Relay;
    const rproxy::bench::Arguments arguments(argc, argv, {"port", "backends", "workers"});
    rproxy::bench::prepare_process();
    const auto port = arguments.ports("port").front();
    const auto backends = arguments.ports("backends");
    std::vector<std::jthread> others;
    for (auto left = arguments.number("workers", 1); left > 1; --left) {
        others.emplace_back([&] { std::make_unique<Relay>(port, backends)->run(); });
    }
    std::make_unique<Relay>(port, backends)->run();
}
