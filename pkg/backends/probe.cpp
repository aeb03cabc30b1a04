#include "backends/probe.h"

#include "tls/session.h"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace rproxy::backends {

Probe::Probe(net::EventLoop& loop, const net::SocketAddress& address,
             const config::HealthCheck& check, std::string host, Security security)
    : loop_(loop),
      address_(address),
      check_(check),
      host_(std::move(host)),
      security_(std::move(security)) {}

Probe::~Probe() {
    if (stream_.open()) {
        loop_.remove(stream_.fd(), *this);
    }
}

void Probe::start(Done done) {
    done_ = std::move(done);
    auto fd = net::start_connect(address_);
    if (!fd) {
        early_ = {FailureReason::Refused, fd.error().message()};
        loop_.arm(timer_, loop_.now());
        return;
    }
    stream_ = net::Stream(std::move(*fd));
    if (!loop_.add(stream_.fd(), EPOLLIN | EPOLLOUT | EPOLLRDHUP, *this)) {
        early_ = {FailureReason::HealthCheck, "no resources for a check"};
    }
    loop_.arm(timer_, early_ ? loop_.now() : loop_.now() + check_.timeout);
}

void Probe::on_timer() {
    if (early_) {
        finish(std::move(*early_));
        return;
    }
    fail(FailureReason::Timeout, stage_ == Stage::Connecting    ? "connect timed out"
                                 : stage_ == Stage::Handshaking ? "TLS handshake timed out"
                                                                : "no answer in time");
}

void Probe::on_event(std::uint32_t /*events*/) {
    go_on();
}

void Probe::go_on() {
    if (stage_ == Stage::Connecting && !connected()) {
        return;
    }
    if (stage_ == Stage::Handshaking && !shook_hands()) {
        return;
    }
    if (stage_ == Stage::Sending) {
        send_request();
    } else {
        read_status();
    }
}

/// False: it has ended.
bool Probe::connected() {
    if (const auto error = net::connect_result(stream_.fd())) {
        fail(error.value() == ETIMEDOUT ? FailureReason::Timeout : FailureReason::Refused,
             error.message());
        return false;
    }
    if (security_.context) {
        stream_.secure(security_.context->connect(security_.io, stream_.fd(), security_.host,
                                                  &security_.sessions));
        if (!stream_.secured()) {
            fail(FailureReason::HealthCheck, "no resources for a check");
            return false;
        }
    }
    stage_ = Stage::Handshaking;
    return true;
}

/// False: it has ended, or waits for the backend.
bool Probe::shook_hands() {
    const auto result = stream_.handshake();
    if (result.status == net::IoResult::Status::WouldBlock) {
        return false;
    }
    if (result.status != net::IoResult::Status::Ok) {
        fail(FailureReason::HealthCheck, "TLS: " + std::string(stream_.layer()->problem()));
        return false;
    }
    if (!check_.path) {
        pass("connected");
        return false;
    }
    request_ = check_.method + " " + *check_.path + " HTTP/1.1\r\nHost: " +
               check_.host.value_or(host_.starts_with("unix:") ? "localhost" : host_) +
               "\r\nUser-Agent: rproxy-health-check\r\nAccept: */*\r\nConnection: close\r\n\r\n";
    stage_ = Stage::Sending;
    return true;
}

void Probe::send_request() {
    while (!request_.empty()) {
        const iovec piece{request_.data(), request_.size()};
        const auto result = stream_.write({&piece, 1});
        if (result.status == net::IoResult::Status::WouldBlock) {
            return;
        }
        if (result.status != net::IoResult::Status::Ok) {
            fail(FailureReason::Reset, "connection reset");
            return;
        }
        request_.erase(0, result.bytes);
    }
    stage_ = Stage::Reading;
    read_status();
}

void Probe::read_status() {
    std::array<char, 512> piece{};
    while (true) {
        const auto result = stream_.read(piece);
        if (result.status == net::IoResult::Status::WouldBlock) {
            return;
        }
        if (result.status != net::IoResult::Status::Ok) {
            fail(FailureReason::Reset, "connection closed without an answer");
            return;
        }
        answer_.append(piece.data(), result.bytes);
        const auto end = answer_.find('\n');
        if (end == std::string::npos) {
            constexpr std::size_t kLongestStatusLine = 1024;
            if (answer_.size() > kLongestStatusLine) {
                fail(FailureReason::HealthCheck, "the answer is not HTTP");
                return;
            }
            continue;
        }
        unsigned status = 0;
        const bool http = answer_.starts_with("HTTP/1.") && answer_.size() >= 12 &&
                          answer_[8] == ' ' &&
                          std::from_chars(answer_.data() + 9, answer_.data() + 12, status).ptr ==
                              answer_.data() + 12;
        if (!http) {
            fail(FailureReason::HealthCheck, "the answer is not HTTP");
        } else if (status_expected(status)) {
            pass("status " + std::to_string(status));
        } else {
            fail(FailureReason::HttpStatus, "status " + std::to_string(status));
        }
        return;
    }
}

bool Probe::status_expected(unsigned status) const {
    return std::ranges::any_of(check_.expect_status, [status](const config::StatusRange& range) {
        return status >= range.first && status <= range.last;
    });
}

void Probe::pass(std::string detail) {
    finish({std::nullopt, std::move(detail)});
}

void Probe::fail(FailureReason reason, std::string detail) {
    finish({reason, std::move(detail)});
}

void Probe::finish(HealthTracker::ProbeResult result) {
    loop_.cancel(timer_);
    if (stream_.open()) {
        loop_.remove(stream_.fd(), *this);
        stream_.close();
    }
    auto done = std::move(done_);
    done(std::move(result));  // may destroy this
}

}  // namespace rproxy::backends
