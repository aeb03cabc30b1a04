#include "proxy/exchange.h"

#include "proxy/proxy.h"
#include "proxy/session.h"

#include <algorithm>

namespace rproxy::proxy {

namespace {

/// A client that half-closes may still want its answer (`printf … | nc`); one that is gone looks
/// the same until we write. So a request whose client closed its side has this long to be answered
/// before it is cancelled.
constexpr std::chrono::seconds kHalfCloseGrace{1};

}  // namespace

void Exchange::attach(Session& session) {
    session_ = &session;
    stage_ = session.awaits_proxy_header() ? Stage::ReadingProxyHeader : Stage::ReadingHead;
    request_.buffer().reserve(proxy_.buffer_capacity());
}

bool Exchange::has_input() {
    return !request_.buffer().empty();
}

void Exchange::detach() {
    session_ = nullptr;
    const std::size_t keep = proxy_.buffer_capacity();
    request_.reset(keep);
    response_.reset(keep);
}

Exchange::Next Exchange::advance() {
    while (true) {
        Step step = Step::Wait;
        switch (stage_) {
            case Stage::ReadingProxyHeader:
                step = read_proxy_header();
                break;
            case Stage::ReadingHead:
                step = read_head();
                break;
            case Stage::Queued:
                step = client_gone() ? finish(http::Reason::ClientClosed) : queued();
                break;
            case Stage::Connecting:
                step = client_gone() ? finish(http::Reason::ClientClosed) : check_connected();
                break;
            case Stage::Exchanging:
                step = exchange();
                break;
            case Stage::Tunnel:
                step = pump_tunnel();
                break;
            case Stage::Replying:
                step = flush_reply();
                break;
        }
        if (step == Step::Finished) {
            return next_;
        }
        if (step == Step::Wait) {
            arm_timers();
            return stage_ == Stage::ReadingHead && request_.buffer().empty() ? Next::Idle
                                                                             : Next::Wait;
        }
    }
}

/// Refuses a request for what it is itself, before or instead of passing it on.
Exchange::Step Exchange::refuse(metrics::RequestRejection kind, http::Reason reason) {
    proxy_.cells().rejected[kind].add();
    return reply(reason);
}

Exchange::Step Exchange::parse_head(std::size_t size) {
    session_->disarm();
    head_size_ = size;
    // Before the views are taken: a large head must leave room for the body behind it.
    proxy_.make_body_room(request_.buffer(), size);
    const auto parsed = http1::parse_request_head(request_.buffer().view().substr(0, size),
                                                  request_limits(), head_);
    if (!parsed) {
        return refuse_head(parsed.error());
    }
    const auto framing = http::request_framing(head_);
    if (!framing) {
        return refuse_head(http1::HeadError::BadFraming);
    }
    const auto target = http::parse_target(head_);
    if (!target) {
        return refuse_head(http1::HeadError::BadSyntax);
    }
    framing_ = *framing;
    target_ = *target;
    head_parsed_ = true;
    keep_alive_ = http::keeps_alive(head_.version, head_.fields);
    // An upgrade whose request has a body would have to wait for its end; nobody does that.
    upgrade_ = framing_.kind == http::BodyFraming::Kind::None && http::wants_upgrade(head_);
    request_.start(framing_, head_size_, framing_.kind == http::BodyFraming::Kind::Chunked);
    request_.set_limit(proxy_.settings().limits.body_bytes.bytes);
    session_->listener().cells[proxy_.worker()].requests_active.add();
    proxy_.cells().exchanges.add();
    proxy_.cells().requests_total.add();
    const http::Field* const id = head_.find(http::FieldId::XRequestId);
    const http::Field* const parent = head_.find(http::FieldId::Traceparent);
    ids_.set(id == nullptr ? std::string_view{} : id->value,
             parent == nullptr ? std::string_view{} : parent->value, proxy_.rng());
    return route();
}

Exchange::Step Exchange::route() {
    const auto& settings = proxy_.settings();
    client_ = http::identify_client(session_->peer().ip, settings.trusted_proxies, head_.fields);
    if (!proxy_.plan() || proxy_.plan()->plan->generation == 0) {
        return reply(http::Reason::NoConfig);
    }
    plan_ = proxy_.plan();
    if (settings.limits.body_bytes.bytes != 0 &&
        framing_.length > settings.limits.body_bytes.bytes) {
        return refuse(metrics::RequestRejection::TooLarge, http::Reason::BodyTooLarge);
    }
    const auto& routes = plan_->plan->routes;
    // OPTIONS * asks about the server as a whole: whoever serves its root.
    const std::string_view path = target_.path == "*" ? "/" : target_.path;
    const auto pool = http::needs_normalizing(path)
                          ? routes.find(target_.host, http::normalized_path(path))
                          : routes.find(target_.host, path);
    if (!pool) {
        return reply(http::Reason::NoRoute);
    }
    pool_index_ = *pool;
    routed_ = true;
    this->pool().budget->on_request(pool_config().retry.budget.fraction);
    return choose_backend();
}

bool Exchange::client_gone() const {
    if (session_->reset) {
        return true;
    }
    // Once the answer has begun, writing it tells whether anybody is there.
    return !response_started_ && client_gone_noted_ &&
           proxy_.loop().now() >= client_gone_since_ + kHalfCloseGrace;
}

void Exchange::on_client_deadline() {
    client_deadline_passed_ = true;
}

void Exchange::arm_timers() {
    const auto now = proxy_.loop().now();
    const auto& timeouts = proxy_.timeouts();
    if (stage_ == Stage::ReadingProxyHeader || stage_ == Stage::ReadingHead) {
        return;  // set with the first byte; an idle connection's by the session
    }
    if (stage_ == Stage::Tunnel) {
        session_->arm(now + timeouts.tunnel_idle);
        return;
    }
    // Whoever must move next is whose deadline runs: a slow client is not the backend's fault, and
    // a backend that does not read is not the client's.
    const bool client_must_send = stage_ == Stage::Exchanging && !request_.source_complete() &&
                                  !request_failed_ && request_.out().empty();
    const bool client_must_read = !response_.out().empty();
    if (client_must_send || client_must_read) {
        session_->arm(now + timeouts.client_body);
    } else if (session_->peer_closed && !response_started_) {
        if (!client_gone_noted_) {
            client_gone_noted_ = true;
            client_gone_since_ = now;
        }
        session_->arm(client_gone_since_ + kHalfCloseGrace);
    } else {
        session_->disarm();
    }
    if (stage_ == Stage::Exchanging) {
        arm_backend_timer(now, client_must_send, client_must_read);
    }
}

void Exchange::arm_backend_timer(MonotonicTime now, bool client_must_send, bool client_must_read) {
    const auto& timeouts = pool_config().timeouts;
    if (response_started_) {
        if (client_must_read) {
            proxy_.loop().cancel(backend_timer_);
        } else {
            // A pause within a body. A short `idle` is there to beat the backend's keep-alive and
            // must not cut answers that take a breath.
            proxy_.loop().arm(backend_timer_, now + std::max(timeouts.idle, timeouts.response));
        }
        return;
    }
    if (client_must_send) {
        request_progress_ = now;
        proxy_.loop().cancel(backend_timer_);
        return;
    }
    auto deadline = request_progress_ + timeouts.response;
    const auto per_try = pool_config().retry.per_try_timeout;
    if (per_try.count() != 0) {
        deadline = std::min(deadline, attempt_began_ + per_try);
    }
    proxy_.loop().arm(backend_timer_, deadline);
}

Exchange::Step Exchange::reply(http::Reason reason) {
    if (response_started_) {
        return finish(reason);  // the client has part of another answer: only closing is honest
    }
    leave_queue();  // while the stage still says that it is in one
    const auto& answer = http::info(reason);
    const bool body_left = !head_parsed_ || !request_.source_complete();
    reply_lingers_ = body_left;
    keep_alive_ = keep_alive_ && !body_left && !proxy_.draining();
    end_attempt(blame(reason));
    status_ = answer.status;
    reply_reason_ = reason;
    if (!interim_passed_) {
        response_.out().clear(proxy_.buffer_capacity());  // else a rest of a 1xx may wait in it
    }
    auto& out = response_.out().head();
    out.append("HTTP/1.1 ");
    out.append_number(answer.status);
    out.append(' ');
    out.append(http::status_phrase(answer.status));
    out.append(
        "\r\nContent-Type: text/plain; charset=utf-8\r\nCache-Control: "
        "no-store\r\nX-Rproxy-Reason: ");
    out.append(answer.code);
    if (head_parsed_) {
        out.append("\r\nX-Request-Id: ");
        out.append(ids_.request_id());
    }
    out.append("\r\nContent-Length: ");
    out.append_number(answer.code.size() + 2 + answer.text.size() + 1);
    if (!keep_alive_) {
        out.append("\r\nConnection: close");
    } else if (head_.version == http::Version::Http10) {
        out.append("\r\nConnection: keep-alive");
    }
    out.append("\r\n\r\n");
    if (!head_parsed_ || head_.method != http::Method::Head) {
        out.append(answer.code);
        out.append(": ");
        out.append(answer.text);
        out.append('\n');
    }
    response_started_ = true;
    stage_ = Stage::Replying;
    return Step::Continue;
}

Exchange::Step Exchange::flush_reply() {
    if (!response_.out().empty()) {
        if (client_deadline_passed_ && stage_ == Stage::Replying &&
            response_.out().written() != 0) {
            return finish(reply_reason_);
        }
        const auto result = response_.out().flush(session_->stream());
        if (result.status == net::IoResult::Status::WouldBlock) {
            session_->watch_writable();
            return Step::Wait;
        }
    }
    return finish(reply_reason_);
}

}  // namespace rproxy::proxy
