#include "proxy/exchange.h"

#include "http1/proxy_header.h"
#include "proxy/proxy.h"
#include "proxy/session.h"

#include <algorithm>

namespace rproxy::proxy {

namespace {

/// A client that half-closes may still want its answer (`printf … | nc`); one that is gone looks
/// the same until we write. So a request whose client closed its side has this long to be answered
/// before it is cancelled.
constexpr std::chrono::seconds kHalfCloseGrace{1};

/// Endings that say nothing of the backend.
bool is_clients_doing(http::Reason reason) {
    return reason == http::Reason::ClientClosed || reason == http::Reason::ClientTimeout ||
           reason == http::Reason::BadRequest || reason == http::Reason::BodyTooLarge;
}

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

Exchange::Step Exchange::read_proxy_header() {
    auto& buffer = request_.buffer();
    while (true) {
        const auto header = http1::parse_proxy_header(buffer.view());
        if (header && *header) {
            const auto& source = (*header)->source;
            session_->take_proxy_header(source ? std::optional(net::Peer{source->ip, source->port})
                                               : std::nullopt);
            buffer.consume((*header)->size);
            stage_ = Stage::ReadingHead;
            return Step::Continue;
        }
        if (!header || client_deadline_passed_) {
            session_->count_bad_proxy_header();
            return finish(http::Reason::ClientClosed);
        }
        // A balancer's TCP check comes and goes without a word; half a header is an error.
        const bool partial = !buffer.empty();
        const Step step = read_head_bytes(http1::kLargestProxyHeader);
        if (step == Step::Finished && partial) {
            session_->count_bad_proxy_header();
        }
        if (step != Step::Continue) {
            return step;
        }
    }
}

http1::HeadLimits Exchange::request_limits() const {
    const auto& limits = proxy_.settings().limits;
    return {static_cast<std::size_t>(limits.header_bytes.bytes), limits.header_count,
            static_cast<std::size_t>(limits.request_line.bytes)};
}

Exchange::Step Exchange::read_head() {
    auto& buffer = request_.buffer();
    while (true) {
        if (const auto empty = http1::leading_empty_lines(buffer.view());
            scan_.line_start == 0 && empty != 0) {
            buffer.consume(empty);
            buffer.compact();
            scan_ = {};
        }
        if (!buffer.empty() && began_ == MonotonicTime{}) {
            // The first byte, be it read now or together with the request before.
            began_ = proxy_.loop().now();
            session_->arm(began_ + proxy_.timeouts().client_header);
        }
        const auto end = http1::find_head_end(buffer.view(), request_limits(), scan_);
        if (!end) {
            return refuse_head(end.error());
        }
        if (*end) {
            return parse_head(**end);
        }
        if (client_deadline_passed_) {
            return buffer.empty() ? finish(http::Reason::ClientClosed)
                                  : reply(http::Reason::ClientTimeout);
        }
        const Step step = read_head_bytes(request_limits().header_bytes + 1);
        if (step != Step::Continue) {
            return step;
        }
    }
}

/// Into a buffer that may grow to `most` bytes. Continue: there is more to look at.
Exchange::Step Exchange::read_head_bytes(std::size_t most) {
    auto& buffer = request_.buffer();
    if (!session_->readable) {
        return Step::Wait;
    }
    if (buffer.space().empty()) {
        buffer.reserve(std::min(buffer.capacity() * 2, most));
    }
    const auto space = buffer.space();
    const auto result = session_->stream().read(space);
    if (result.status == net::IoResult::Status::WouldBlock) {
        session_->readable = false;
        return Step::Wait;
    }
    if (result.status != net::IoResult::Status::Ok) {
        return finish(http::Reason::ClientClosed);
    }
    session_->readable = result.bytes == space.size() || session_->peer_closed;
    buffer.commit(result.bytes);
    request_.count_read(result.bytes);
    return Step::Continue;
}

Exchange::Step Exchange::refuse_head(http1::HeadError error) {
    switch (error) {
        case http1::HeadError::LineTooLong:
            return refuse(metrics::RequestRejection::HeaderLimit, http::Reason::UriTooLong);
        case http1::HeadError::TooLarge:
        case http1::HeadError::TooManyFields:
            return refuse(metrics::RequestRejection::HeaderLimit, http::Reason::HeadersTooLarge);
        case http1::HeadError::BadFraming:
            return refuse(metrics::RequestRejection::Smuggling, http::Reason::BadRequest);
        case http1::HeadError::BadSyntax:
        case http1::HeadError::BadVersion:
            break;
    }
    return refuse(metrics::RequestRejection::Malformed, http::Reason::BadRequest);
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
    end_attempt(is_clients_doing(reason) ? Blame::Nobody : Blame::Backend);
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

void Exchange::cancel() {
    finish(http::Reason::ClientClosed);
}

Exchange::Step Exchange::finish(http::Reason reason) {
    const auto now = proxy_.loop().now();
    leave_queue();
    const bool tunnelled = stage_ == Stage::Tunnel;
    const bool whole = reason == http::Reason::None && stage_ == Stage::Exchanging &&
                       response_.done() && response_started_;
    const bool backend_reusable = whole && request_sent_ && response_keeps_alive_ &&
                                  !close_delimited_ && response_.surplus() == 0 && lease_;
    end_attempt(is_clients_doing(reason) ? Blame::Nobody : Blame::Backend, backend_reusable);
    if (head_parsed_ || status_ != 0) {
        count_request(reason, now);
        log_request(reason, now);
    }
    if (tunnelled) {
        pool().cells->upgraded_connections_active.sub();
    }
    const bool replied = stage_ == Stage::Replying && response_.out().empty();
    const bool keep = keep_alive_ && (whole || replied) && request_.source_complete() &&
                      !close_delimited_ && !session_->reset;
    if (reset_at_end_ || (!whole && !replied && !tunnelled && close_delimited_)) {
        session_->stream().abort_on_close();
    }
    return next_after_finish(keep);
}

Exchange::Step Exchange::next_after_finish(bool keep) {
    const bool delivered = response_started_ && response_.out().empty();
    const bool lingers = !keep && delivered && !reset_at_end_ && stage_ != Stage::Tunnel &&
                         !session_->reset &&
                         (reply_lingers_ || !request_.source_complete() || session_->readable);
    next_ = keep ? Next::NextRequest : (lingers ? Next::Linger : Next::Close);
    if (keep) {
        request_.drop_message();
    }
    const std::size_t keep_capacity = proxy_.buffer_capacity();
    response_.reset(keep_capacity);
    request_.out().clear(keep_capacity);
    proxy_.loop().cancel(backend_timer_);
    // Everything of this request is forgotten here, in one place.
    plan_ = {};
    routed_ = head_parsed_ = keep_alive_ = request_sent_ = request_failed_ = false;
    scan_ = {};
    response_scan_ = {};
    head_.clear();
    response_head_.clear();
    began_ = {};
    excluded_.clear();
    attempts_ = retries_ = 0;
    fresh_used_ = saw_full_ = fallback_used_ = false;
    backend_time_ = {};
    parked_.reset();
    status_ = 0;
    response_started_ = response_seen_ = response_keeps_alive_ = close_delimited_ = false;
    reset_at_end_ = upgrade_ = tunnel_client_done_ = tunnel_backend_done_ = false;
    reply_reason_ = http::Reason::None;
    reply_lingers_ = client_deadline_passed_ = backend_deadline_passed_ = false;
    client_gone_noted_ = connecting_ = reused_ = queue_slot_free_ = interim_passed_ = false;
    stage_ = Stage::ReadingHead;
    return Step::Finished;
}

void Exchange::count_request(http::Reason reason, MonotonicTime now) {
    if (head_parsed_) {
        session_->listener().cells[proxy_.worker()].requests_active.sub();
        proxy_.cells().exchanges.sub();
    }
    const std::uint16_t status =
        reason == http::Reason::ClientClosed && status_ == 0 ? http::info(reason).status : status_;
    if (reply_reason_ != http::Reason::None) {
        proxy_.cells().local_replies[static_cast<std::size_t>(reply_reason_)].add();
    } else if (reason != http::Reason::None) {
        proxy_.cells().local_replies[static_cast<std::size_t>(reason)].add();
    }
    if (routed_) {
        auto& cells = *pool().cells;
        cells.requests.add(status, static_cast<metrics::RequestMethod>(head_.method));
        cells.request_duration[static_cast<std::size_t>(metrics::code_class(status))].observe(
            now - began_);
    }
}

void Exchange::log_request(http::Reason reason, MonotonicTime now) {
    const auto& log = proxy_.settings().log;
    const std::uint16_t status =
        reason == http::Reason::ClientClosed && status_ == 0 ? http::info(reason).status : status_;
    const bool failed = status >= 500 || reason != http::Reason::None;
    if (!log.access || proxy_.access_log() == nullptr || (log.access_only_failures && !failed)) {
        return;
    }
    if (log.access_sample.fraction < 1 && !failed &&
        proxy_.rng().unit() >= log.access_sample.fraction) {
        return;
    }
    log::AccessRecord record;
    record.time = proxy_.loop().wall_now();
    const std::string client = (head_parsed_ ? client_.address : session_->peer().ip).to_string();
    record.client = client;
    if (head_parsed_) {
        record.request_id = ids_.request_id();
        record.trace_id = ids_.trace_id();
        record.method = head_.method_text;
        record.host = target_.host;
        record.path = target_.path;
        record.protocol = head_.version == http::Version::Http11 ? "HTTP/1.1" : "HTTP/1.0";
    }
    record.status = status;
    record.bytes_in = head_size_ + request_.body().received();
    record.bytes_out = response_.out().written();
    record.duration = began_ == MonotonicTime{} ? std::chrono::nanoseconds{0} : now - began_;
    record.backend_duration = backend_time_;
    if (routed_) {
        record.pool = pool_config().name;
        if (attempts_ != 0) {
            record.backend = pool().plan->backends[slot_].name;
        }
    }
    record.attempts = attempts_;
    record.reason = http::info(reply_reason_ != http::Reason::None ? reply_reason_ : reason).code;
    proxy_.access_log()->append(record);
}

}  // namespace rproxy::proxy
