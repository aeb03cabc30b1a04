#include "proxy/handshake.h"

#include "http/reason.h"
#include "http1/proxy_header.h"
#include "log/log.h"
#include "proxy/proxy.h"
#include "proxy/session.h"
#include "tls/server_context.h"
#include "tls/session.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

namespace rproxy::proxy {

Handshake::Handshake(Session& session, Proxy& proxy) : session_(session), proxy_(proxy) {
    session_.listener().handshakes.fetch_add(1, std::memory_order_relaxed);
}

Handshake::~Handshake() {
    session_.listener().handshakes.fetch_sub(1, std::memory_order_relaxed);
}

/// Looks at the bytes without taking them: what follows the header is TLS's. Done: it is read, or
/// none is expected.
Handshake::Outcome Handshake::read_proxy_header() {
    if (!session_.awaits_proxy_header()) {
        return Outcome::Done;
    }
    std::array<char, http1::kLargestProxyHeader> bytes{};
    const int fd = session_.stream().fd();
    const ssize_t seen = ::recv(fd, bytes.data(), bytes.size(), MSG_PEEK);
    if (seen < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
        return Outcome::Waiting;
    }
    if (seen <= 0) {
        return Outcome::Gone;
    }
    const auto header = http1::parse_proxy_header({bytes.data(), static_cast<std::size_t>(seen)});
    if (!header || (!*header && session_.peer_closed)) {
        return Outcome::BadProxy;
    }
    if (!*header) {
        return Outcome::Waiting;
    }
    if (::recv(fd, bytes.data(), (*header)->size, 0) != static_cast<ssize_t>((*header)->size)) {
        return Outcome::Gone;
    }
    const auto& source = (*header)->source;
    session_.take_proxy_header(source ? std::optional(net::Peer{source->ip, source->port})
                                      : std::nullopt);
    return Outcome::Done;
}

Handshake::Outcome Handshake::begin() {
    if (const auto outcome = read_proxy_header(); outcome != Outcome::Done) {
        return outcome;
    }
    auto layer = session_.rules()->tls->accept(proxy_.tls_io(), session_.stream().fd());
    if (!layer) {
        return Outcome::Failed;  // no memory
    }
    tls_ = layer.get();
    session_.stream().secure(std::move(layer));
    return Outcome::Done;
}

Handshake::Outcome Handshake::advance() {
    if (tls_ == nullptr) {
        if (const auto outcome = begin(); outcome != Outcome::Done) {
            return outcome;
        }
    }
    const auto result = session_.stream().handshake();
    switch (result.status) {
        case net::IoResult::Status::Ok:
            more_ = result.more;
            return Outcome::Done;
        case net::IoResult::Status::WouldBlock:
            return Outcome::Waiting;
        case net::IoResult::Status::Closed:
        case net::IoResult::Status::Failed:
            break;
    }
    return tls_->silent() ? Outcome::Gone : Outcome::Failed;
}

void Handshake::report(Outcome outcome) {
    auto& cells = session_.listener().cells[proxy_.worker()];
    switch (outcome) {
        case Outcome::Waiting:
        case Outcome::Gone:
            return;
        case Outcome::BadProxy:
            session_.count_bad_proxy_header();
            return;
        case Outcome::Done: {
            cells.handshakes[metrics::HandshakeResult::Success].add();
            const std::size_t version = tls_->version() == tls::Version::Tls13 ? 1 : 0;
            cells
                .handshakes_by_version[version][tls_->resumed() ? metrics::HandshakeKind::Resumed
                                                                : metrics::HandshakeKind::Full]
                .add();
            return;
        }
        case Outcome::TimedOut:
            if (session_.awaits_proxy_header()) {
                session_.count_bad_proxy_header();
            }
            cells.handshakes[metrics::HandshakeResult::Timeout].add();
            break;
        case Outcome::Failed:
            cells.handshakes[metrics::HandshakeResult::Failure].add();
            break;
    }
    const std::string_view problem = tls_ == nullptr ? std::string_view{} : tls_->problem();
    proxy_.report_failed_handshake(session_, outcome == Outcome::TimedOut ? "timeout" : problem);
}

bool Handshake::answer_plain_http() {
    if (tls_ == nullptr || !tls_->got_plain_http()) {
        return false;
    }
    constexpr std::string_view kBody =
        "bad_request: This port speaks TLS: use https instead of http.\n";
    std::string text =
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
        "Cache-Control: no-store\r\nX-Rproxy-Reason: bad_request\r\nConnection: close\r\n"
        "Content-Length: " +
        std::to_string(kBody.size()) + "\r\n\r\n" + std::string(kBody);
    proxy_.cells().local_replies[static_cast<std::size_t>(http::Reason::BadRequest)].add();
    tls_ = nullptr;
    session_.stream().secure(nullptr);
    const iovec piece{text.data(), text.size()};
    session_.stream().write({&piece, 1});  // always fits an unused socket's buffer
    return true;
}

std::string Handshake::subject() const {
    return tls_->peer_subject();
}

}  // namespace rproxy::proxy
