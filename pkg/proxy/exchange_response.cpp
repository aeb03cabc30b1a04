#include "proxy/exchange.h"
#include "proxy/proxy.h"
#include "proxy/session.h"
#include "proxy/stickiness.h"

namespace rproxy::proxy {

Pump::End Exchange::client_source() {
    return {session_->stream(), session_->readable, session_->peer_closed};
}
Pump::End Exchange::client_sink() {
    return {session_->stream(), session_->writable, session_->peer_closed};
}
Pump::End Exchange::backend_source() {
    return {lease_->stream(), lease_->readable, lease_->peer_closed};
}
Pump::End Exchange::backend_sink() {
    return {lease_->stream(), lease_->writable, lease_->peer_closed};
}

void Exchange::on_connection_event(backends::Connection& /*connection*/) {
    session_->drive();
}

void Exchange::on_backend_timer() {
    backend_deadline_passed_ = true;
    session_->drive();
}

Exchange::Step Exchange::exchange() {
    if (client_gone()) {
        return finish(http::Reason::ClientClosed);
    }
    if (std::exchange(client_deadline_passed_, false)) {
        if (!response_.out().empty()) {
            return finish(http::Reason::ClientTimeout);  // it does not read its answer
        }
        if (!request_.source_complete()) {
            return reply(http::Reason::ClientTimeout);
        }
    }
    if (std::exchange(backend_deadline_passed_, false)) {
        auto& failures = pool().slots[slot_]->cells().response_failures;
        if (response_started_ && response_.done()) {
            return finish(http::Reason::None);
        }
        if (response_started_) {
            return broken_response(metrics::ResponseFailure::Timeout);
        }
        failures[metrics::ResponseFailure::Timeout].add();
        return attempt_failed(AttemptFacts::Failure::Timeout);
    }
    const Step sent = pump_request();
    if (sent == Step::Finished || stage_ != Stage::Exchanging) {
        return sent;
    }
    if (!response_started_) {
        const Step step = read_response_head();
        if (step != Step::Continue || stage_ != Stage::Exchanging || !response_started_) {
            return step;
        }
    }
    return pump_response();
}

/// Wait: the request's side can go no further for now. Continue: all of it is sent.
Exchange::Step Exchange::pump_request() {
    if (request_sent_ || request_failed_) {
        return Step::Continue;
    }
    const auto before = request_.out().written();
    const Pump::Status status = request_.run(client_source(), backend_sink());
    if (request_.out().written() != before) {
        request_progress_ = proxy_.loop().now();
    }
    switch (status) {
        case Pump::Status::WaitSource:
        case Pump::Status::WaitSink:
            return Step::Wait;
        case Pump::Status::Done:
            request_sent_ = true;
            return Step::Continue;
        case Pump::Status::SourceEnded:
        case Pump::Status::SourceFailed:
            return finish(http::Reason::ClientClosed);
        case Pump::Status::SourceMalformed:
            return refuse(metrics::RequestRejection::Smuggling, http::Reason::BadRequest);
        case Pump::Status::TooLarge:
            return refuse(metrics::RequestRejection::TooLarge, http::Reason::BodyTooLarge);
        case Pump::Status::SinkFailed:
            break;
    }
    // A backend may answer and close without reading all (413, 401): its answer is looked for.
    request_failed_ = true;
    lease_->readable = true;
    return Step::Continue;
}

Exchange::Step Exchange::read_response_head() {
    const auto& limits = proxy_.settings().limits;
    const auto most = static_cast<std::size_t>(limits.header_bytes.bytes);
    const http1::HeadLimits head_limits{most, limits.header_count, most};
    const auto attempt = attempts_;
    while (true) {
        const auto end =
            http1::find_head_end(response_.buffer().view(), head_limits, response_scan_);
        if (!end) {
            pool()
                .slots[slot_]
                ->cells()
                .response_failures[metrics::ResponseFailure::Protocol]
                .add();
            return attempt_failed(AttemptFacts::Failure::Malformed);
        }
        // An interim response is passed on, and the next head may be there already.
        const Step step = *end ? take_response_head(**end) : read_response_bytes(most);
        const bool next_attempt = attempts_ != attempt;  // begins with its request, not here
        if (step != Step::Continue || next_attempt || stage_ != Stage::Exchanging ||
            response_started_) {
            return step;
        }
    }
}

/// Continue: there is more to look at.
Exchange::Step Exchange::read_response_bytes(std::size_t most) {
    auto& buffer = response_.buffer();
    if (!lease_->readable) {
        return Step::Wait;
    }
    if (buffer.space().empty()) {
        buffer.reserve(std::min(buffer.capacity() * 2, most + 1));
    }
    const auto space = buffer.space();
    const auto result = lease_->stream().read(space);
    if (result.status == net::IoResult::Status::WouldBlock) {
        lease_->readable = false;
        return request_failed_ ? no_response() : Step::Wait;
    }
    if (result.status != net::IoResult::Status::Ok) {
        return no_response();
    }
    lease_->readable = result.bytes == space.size() || lease_->peer_closed;
    buffer.commit(result.bytes);
    response_.count_read(result.bytes);
    if (!response_seen_) {
        response_seen_ = true;
        const auto now = proxy_.loop().now();
        auto& connections = *pool().slots[slot_];
        connections.cells().response_duration.observe(now - request_progress_);
        balancing::observe_latency(connections.backend()->load(), now - attempt_began_, now);
    }
    return Step::Continue;
}

/// The connection ended before a whole response head.
Exchange::Step Exchange::no_response() {
    // A reused connection that brought nothing may only have been stale: attempt_failed() counts
    // it.
    if (!reused_ || response_seen_) {
        const auto failure =
            response_seen_ ? metrics::ResponseFailure::Truncated : metrics::ResponseFailure::Reset;
        pool().slots[slot_]->cells().response_failures[failure].add();
    }
    return attempt_failed(AttemptFacts::Failure::Reset);
}

Exchange::Step Exchange::take_response_head(std::size_t size) {
    const auto& limits = proxy_.settings().limits;
    const auto most = static_cast<std::size_t>(limits.header_bytes.bytes);
    response_head_size_ = size;
    proxy_.make_body_room(response_.buffer(), size);  // before the views are taken
    const auto parsed =
        http1::parse_response_head(response_.buffer().view().substr(0, size),
                                   {most, limits.header_count, most}, response_head_);
    const bool unasked = response_head_.status == 101 && !(upgrade_ && request_sent_);
    if (!parsed || unasked || !http::response_framing(response_head_, head_.method)) {
        pool().slots[slot_]->cells().response_failures[metrics::ResponseFailure::Protocol].add();
        return attempt_failed(AttemptFacts::Failure::Malformed);
    }
    if (response_head_.status == 101) {
        return start_tunnel();
    }
    return response_head_.status < 200 ? pass_interim() : start_response();
}

/// 1xx goes on to a client that knows it (RFC 9110 §15.2) and is dropped for HTTP/1.0.
Exchange::Step Exchange::pass_interim() {
    if (head_.version == http::Version::Http11) {
        const http::ResponseEdits edits{
            false, false, false, pool_config().hide_backend_identity, false, {}, {}, false, {}};
        http::write_response_head(response_head_, {}, edits, response_.out().head());
        interim_passed_ = true;
        const auto result = response_.out().flush(session_->stream());
        if (result.status == net::IoResult::Status::Failed) {
            return finish(http::Reason::ClientClosed);
        }
        if (result.status == net::IoResult::Status::WouldBlock) {
            session_->watch_writable();  // what is left goes out in front of the next head
        }
    }
    response_.buffer().consume(response_head_size_);
    response_.buffer().compact();
    response_scan_ = {};
    return Step::Continue;
}

std::optional<AttemptFacts::Failure> Exchange::retryable_status() const {
    switch (response_head_.status) {
        case 502:
            return AttemptFacts::Failure::Status502;
        case 503:
            return AttemptFacts::Failure::Status503;
        case 504:
            return AttemptFacts::Failure::Status504;
        default:
            return std::nullopt;
    }
}

/// The Set-Cookie that binds the client to the backend that answered; empty: nothing to say.
std::string_view Exchange::new_cookie() {
    const auto& sticky = pool().plan->sticky;
    return sticky && needs_cookie(*sticky, head_.fields, slot_) ? sticky->set_cookie(slot_)
                                                                : std::string_view{};
}

Exchange::Step Exchange::start_response() {
    status_ = response_head_.status;
    const auto framing = *http::response_framing(response_head_, head_.method);
    const auto& backend = pool().slots[slot_]->backend();
    if (const auto failure = retryable_status()) {
        if (decide_retry(facts(*failure), pool_config().retry).next ==
            RetryVerdict::Next::OtherBackend) {
            park_response();
            return attempt_failed(*failure);
        }
        report(*failure);
    } else if (backend->suspect.load(std::memory_order_relaxed) && proxy_.observer() != nullptr) {
        proxy_.observer()->traffic_succeeded(backend);
    }
    using Kind = http::BodyFraming::Kind;
    const bool unbounded = framing.kind == Kind::Chunked || framing.kind == Kind::UntilClose;
    const bool chunked = unbounded && head_.version == http::Version::Http11;
    close_delimited_ = unbounded && !chunked;
    response_keeps_alive_ = framing.kind != Kind::UntilClose &&
                            http::keeps_alive(response_head_.version, response_head_.fields);
    keep_alive_ = keep_alive_ && !close_delimited_ && !proxy_.draining();
    const http::ResponseEdits edits{!keep_alive_, head_.version == http::Version::Http10,
                                    chunked,      pool_config().hide_backend_identity,
                                    false,        backend->key().address,
                                    target_.host, false,
                                    new_cookie()};
    http::write_response_head(response_head_, framing, edits, response_.out().head());
    response_.start(framing, response_head_size_, chunked);
    response_started_ = true;
    return Step::Continue;
}

/// Keeps a 502, 503 or 504 that is about to be retried, if it is here as a whole: should nothing
/// better come, the client gets the last real answer instead of one of ours.
void Exchange::park_response() {
    const auto framing = *http::response_framing(response_head_, head_.method);
    const auto body = response_.buffer().view().substr(response_head_size_);
    const bool whole =
        framing.kind == http::BodyFraming::Kind::None ||
        (framing.kind == http::BodyFraming::Kind::Length && body.size() == framing.length);
    if (!whole) {
        return;
    }
    parked_keeps_ = keep_alive_ && request_.source_complete() && !proxy_.draining();
    parked_status_ = response_head_.status;
    const http::ResponseEdits edits{!parked_keeps_,
                                    head_.version == http::Version::Http10,
                                    false,
                                    pool_config().hide_backend_identity,
                                    false,
                                    pool().slots[slot_]->backend()->key().address,
                                    target_.host,
                                    false,
                                    {}};
    parked_.emplace();
    http::write_response_head(response_head_, framing, edits, *parked_);
    if (framing.kind == http::BodyFraming::Kind::Length) {
        parked_->append(body);
    }
}

Exchange::Step Exchange::pump_response() {
    const auto before = response_.out().written();
    const Pump::Status status = response_.run(backend_source(), client_sink());
    if (response_.out().written() != before) {
        client_gone_noted_ = false;  // it reads: its grace begins anew (docs/adr/0005)
    }
    switch (status) {
        case Pump::Status::WaitSource:
            return Step::Wait;
        case Pump::Status::WaitSink:
            session_->watch_writable();
            return Step::Wait;
        case Pump::Status::Done:
            return end_of_response();
        case Pump::Status::SourceEnded:
            return broken_response(metrics::ResponseFailure::Truncated);
        case Pump::Status::SourceFailed:
            return broken_response(metrics::ResponseFailure::Reset);
        case Pump::Status::SourceMalformed:
        case Pump::Status::TooLarge:
            return broken_response(metrics::ResponseFailure::Protocol);
        case Pump::Status::SinkFailed:
            break;
    }
    return finish(http::Reason::ClientClosed);
}

Exchange::Step Exchange::end_of_response() {
    if (request_sent_ || request_failed_ || lease_->peer_closed) {
        return finish(http::Reason::None);
    }
    // The answer came before the request's end. Most clients go on sending, and the backend may go
    // on reading; but one that waits for 100 Continue will not send what it was told not to.
    const bool waits_for_continue =
        head_.find(http::FieldId::Expect) != nullptr && request_.body().received() == 0;
    return waits_for_continue || !keep_alive_ ? finish(http::Reason::None) : Step::Wait;
}

/// The response broke off: the client must not take it for whole, or is told if it has seen
/// nothing.
Exchange::Step Exchange::broken_response(metrics::ResponseFailure failure) {
    pool().slots[slot_]->cells().response_failures[failure].add();
    report(failure == metrics::ResponseFailure::Timeout ? AttemptFacts::Failure::Timeout
                                                        : AttemptFacts::Failure::Reset);
    const auto reason = failure == metrics::ResponseFailure::Timeout ? http::Reason::BackendTimeout
                        : failure == metrics::ResponseFailure::Protocol
                            ? http::Reason::BackendBadResponse
                            : http::Reason::BackendReset;
    if (response_.out().written() == 0) {
        response_started_ = false;
        return reply(reason);
    }
    // Where only the close would mark the end, a reset tells that this is not it.
    reset_at_end_ = close_delimited_;
    return finish(reason);
}

Exchange::Step Exchange::start_tunnel() {
    status_ = 101;
    const http::ResponseEdits edits{false,       false, false, pool_config().hide_backend_identity,
                                    true,        {},    {},    false,
                                    new_cookie()};
    http::write_response_head(response_head_, {}, edits, response_.out().head());
    const http::BodyFraming raw{http::BodyFraming::Kind::UntilClose, 0};
    response_.start(raw, response_head_size_, false);
    request_.start(raw, head_size_, false);
    request_.set_limit(0);
    response_started_ = true;
    keep_alive_ = false;
    stage_ = Stage::Tunnel;
    pool().cells->upgraded_connections_active.add();
    proxy_.loop().cancel(backend_timer_);
    return Step::Continue;
}

Exchange::Step Exchange::pump_tunnel() {
    if (client_deadline_passed_ || session_->reset) {
        return finish(http::Reason::None);
    }
    const auto failed = [](Pump::Status status) {
        return status == Pump::Status::SourceFailed || status == Pump::Status::SinkFailed;
    };
    if (!tunnel_client_done_) {
        const Pump::Status status = request_.run(client_source(), backend_sink());
        if (failed(status)) {
            return finish(http::Reason::None);
        }
        if (status == Pump::Status::Done) {
            tunnel_client_done_ = true;
            lease_->stream().shutdown_write();
        }
    }
    if (!tunnel_backend_done_) {
        const Pump::Status status = response_.run(backend_source(), client_sink());
        if (failed(status)) {
            return finish(http::Reason::None);
        }
        if (status == Pump::Status::WaitSink) {
            session_->watch_writable();
        }
        if (status == Pump::Status::Done) {
            tunnel_backend_done_ = true;
            session_->stream().shutdown_write();
        }
    }
    return tunnel_client_done_ && tunnel_backend_done_ ? finish(http::Reason::None) : Step::Wait;
}

}  // namespace rproxy::proxy
