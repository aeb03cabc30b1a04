#include "proxy/session.h"

#include "proxy/exchange.h"
#include "proxy/proxy.h"

#include <sys/epoll.h>

#include <algorithm>
#include <array>

namespace rproxy::proxy {

namespace {

/// After an answer that ends the connection while the client may still be sending: reading on for a
/// moment keeps the kernel from resetting the connection, which could destroy the answer on its way
/// (RFC 9112 §9.6).
constexpr std::chrono::seconds kLingerTime{2};
constexpr std::uint32_t kLingerBytes = 1U << 20U;

}  // namespace

Session::Session(Proxy& proxy, net::Accepted accepted, ClientListener listener)
    : proxy_(proxy),
      stream_(std::move(accepted.fd)),
      peer_(accepted.peer),
      listener_(std::move(listener)) {
    // Only whom the operator trusts is believed; anybody else's header is a malformed request.
    listener_.proxy_protocol =
        listener_.proxy_protocol &&
        std::ranges::any_of(proxy_.settings().trusted_proxies,
                            [this](const Cidr& network) { return network.contains(peer_.ip); });
}

Session::~Session() = default;

bool Session::start() {
    if (!proxy_.loop().add(stream_.fd(), EPOLLIN | EPOLLRDHUP, *this)) {
        close();
        return false;
    }
    if (rules() != nullptr && rules()->tls) {
        return begin_handshake();
    }
    arm(proxy_.loop().now() + proxy_.timeouts().client_header);
    return true;
}

void Session::on_event(std::uint32_t events) {
    readable = readable || (events & EPOLLIN) != 0;
    writable = writable || (events & EPOLLOUT) != 0;
    if ((events & EPOLLRDHUP) != 0) {
        peer_closed = true;
        readable = true;
    }
    if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
        peer_closed = true;
        readable = true;
        writable = true;
    }
    // Both directions shut (EPOLLHUP alone) leaves what was sent before to be read.
    reset = reset || (events & EPOLLERR) != 0;
    if (handshake_) {
        proxy_.queue_handshake(*this);
    } else if (lingering_) {
        drain_input();
    } else {
        drive();
    }
}

bool Session::begin_handshake() {
    handshake_ = std::make_unique<Handshake>(*this, proxy_);
    arm(proxy_.loop().now() + rules()->handshake.timeout);
    return true;
}

void Session::hand_shake() {
    if (!handshake_ || closed_) {
        return;
    }
    const auto outcome = handshake_->advance();
    if (outcome == Handshake::Outcome::Waiting) {
        if (stream_.layer() != nullptr && stream_.layer()->has_output()) {
            watch_writable();
        }
        return;
    }
    finish_handshake(outcome);
}

void Session::finish_handshake(Handshake::Outcome outcome) {
    proxy_.forget_handshake(*this);  // its time may be up while it waits for its turn
    handshake_->report(outcome);
    if (outcome != Handshake::Outcome::Done) {
        const bool answered = handshake_->answer_plain_http();
        handshake_.reset();
        answered ? linger() : close();
        return;
    }
    readable = handshake_->more_to_read() || peer_closed;
    if (!rules()->subject_field.empty()) {
        subject_ = std::make_unique<const std::string>(handshake_->subject());
    }
    handshake_.reset();
    arm(proxy_.loop().now() + proxy_.timeouts().client_header);
    drive();
}

void Session::take_proxy_header(const std::optional<net::Peer>& source) {
    listener_.proxy_protocol = false;
    if (source) {
        peer_ = *source;
    }
}

void Session::count_bad_proxy_header() {
    listener_.state->cells[proxy_.worker()]
        .connections_rejected[metrics::ListenerRejection::ProxyProtocol]
        .add();
}

void Session::drive() {
    if (driving_ || closed_) {
        return;  // called from within the loop below: it goes round again anyway
    }
    driving_ = true;
    while (!closed_) {
        if (!exchange_) {
            if (!readable) {
                break;
            }
            exchange_ = proxy_.take_exchange(*this);
        }
        if (!goes_on(exchange_->advance())) {
            break;
        }
    }
    driving_ = false;
}

/// What follows a step of the exchange; false: wait for an event, or for the end.
bool Session::goes_on(Exchange::Next next) {
    switch (next) {
        case Exchange::Next::Wait:
            return false;
        case Exchange::Next::Idle:
        case Exchange::Next::NextRequest:
            if (exchange_->has_input()) {
                return true;
            }
            proxy_.give_back(std::move(exchange_));
            if (proxy_.closing()) {
                close();
            } else {
                wait_idle();
            }
            return true;
        case Exchange::Next::Linger:
            proxy_.give_back(std::move(exchange_));
            linger();
            return false;
        case Exchange::Next::Close:
            break;
    }
    proxy_.give_back(std::move(exchange_));
    close();
    return false;
}

void Session::wait_idle() {
    arm(proxy_.loop().now() + proxy_.timeouts().client_idle);
}

void Session::on_timer() {
    if (handshake_) {
        finish_handshake(Handshake::Outcome::TimedOut);
    } else if (exchange_) {
        exchange_->on_client_deadline();
        drive();
    } else {
        if (awaits_proxy_header()) {
            count_bad_proxy_header();
        }
        close();
    }
}

void Session::arm(MonotonicTime deadline) {
    proxy_.loop().arm(timer_, deadline);
}
void Session::disarm() {
    proxy_.loop().cancel(timer_);
}

void Session::watch_writable() {
    if (!watching_writable_) {
        watching_writable_ = true;
        proxy_.loop().modify(stream_.fd(), EPOLLIN | EPOLLOUT | EPOLLRDHUP, *this);
    }
}

void Session::linger() {
    if (reset) {
        close();
        return;
    }
    stream_.shutdown_write();
    lingering_ = true;
    arm(proxy_.loop().now() + kLingerTime);
    drain_input();
}

void Session::drain_input() {
    std::array<char, 4096> scratch;
    while (!closed_) {
        const auto result = stream_.read(scratch);
        if (result.status == net::IoResult::Status::WouldBlock) {
            return;
        }
        lingered_bytes_ += static_cast<std::uint32_t>(result.bytes);
        if (result.status != net::IoResult::Status::Ok || lingered_bytes_ > kLingerBytes) {
            close();
        }
    }
}

void Session::close_if_idle() {
    if (!exchange_ && !lingering_ && !handshake_) {
        close();
    }
}

void Session::close() {
    if (closed_) {
        return;
    }
    closed_ = true;
    disarm();
    if (handshake_) {
        proxy_.forget_handshake(*this);
        handshake_.reset();
    }
    if (exchange_) {
        exchange_->cancel();
        proxy_.give_back(std::move(exchange_));
    }
    proxy_.loop().remove(stream_.fd(), *this);
    stream_.close();
    proxy_.forget(*this);
}

}  // namespace rproxy::proxy
