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
Pump::End Exchange::backend_source() const {
    return {attempt_.lease->stream(), attempt_.lease->readable, attempt_.lease->peer_closed};
}
Pump::End Exchange::backend_sink() const {
    return {attempt_.lease->stream(), attempt_.lease->writable, attempt_.lease->peer_closed};
}

void Exchange::on_connection_event(backends::Connection& /*connection*/) {
    session_->drive();
}

void Exchange::on_backend_timer() {
    attempt_.deadline_passed = true;
    session_->drive();
}

Exchange::Step Exchange::exchange() {
    if (client_gone()) {
        return finish(http::Reason::ClientClosed);
    }
    if (std::exchange(request_.deadline_passed, false)) {
        tries_.fired(FiredTimer::Client);
        if (!to_client_.out().empty()) {
            return finish(http::Reason::ClientTimeout);  // it does not read its answer
        }
        if (!to_backend_.source_complete()) {
            return reply(http::Reason::ClientTimeout);
        }
    }
    if (std::exchange(attempt_.deadline_passed, false)) {
        auto& failures = pool().slots[attempt_.slot]->cells().response_failures;
        if (answer_.started && to_client_.done()) {
            return finish(http::Reason::None);
        }
        tries_.fired(answer_.started ? FiredTimer::Body : FiredTimer::Response);
        if (answer_.started) {
            return broken_response(metrics::ResponseFailure::Timeout);
        }
        failures[metrics::ResponseFailure::Timeout].add();
        return attempt_failed(AttemptFacts::Failure::Timeout);
    }
    const Step sent = pump_request();
    if (sent == Step::Finished || stage_ != Stage::Exchanging) {
        return sent;
    }
    if (!answer_.started) {
        const Step step = read_response_head();
        if (step != Step::Continue || stage_ != Stage::Exchanging || !answer_.started) {
            return step;
        }
    }
    return pump_response();
}

/// Wait: the request's side can go no further for now. Continue: all of it is sent.
Exchange::Step Exchange::pump_request() {
    if (attempt_.request_sent || attempt_.request_failed) {
        return Step::Continue;
    }
    const auto before = to_backend_.out().written();
    const Pump::Status status = to_backend_.run(client_source(), backend_sink());
    if (to_backend_.out().written() != before) {
        attempt_.progress = proxy_.loop().now();
    }
    switch (status) {
        case Pump::Status::WaitSource:
        case Pump::Status::WaitSink:
            return Step::Wait;
        case Pump::Status::Done:
            attempt_.request_sent = true;
            return Step::Continue;
        case Pump::Status::SourceEnded:
        case Pump::Status::SourceFailed:
            return finish(http::Reason::ClientClosed);
        case Pump::Status::SourceMalformed:
            return refuse({metrics::RequestRejection::Smuggling, http::Reason::BadRequest});
        case Pump::Status::TooLarge:
            return refuse({metrics::RequestRejection::TooLarge, http::Reason::BodyTooLarge});
        case Pump::Status::SinkFailed:
            break;
    }
    // A backend may answer and close without reading all (413, 401): its answer is looked for.
    attempt_.request_failed = true;
    attempt_.lease->readable = true;
    return Step::Continue;
}

Exchange::Step Exchange::read_response_head() {
    const auto& limits = proxy_.response_limits();
    const auto attempt = tries_.attempts;
    while (true) {
        const auto end = http1::find_head_end(to_client_.buffer().view(), limits, attempt_.scan);
        if (!end) {
            pool()
                .slots[attempt_.slot]
                ->cells()
                .response_failures[metrics::ResponseFailure::Protocol]
                .add();
            return attempt_failed(AttemptFacts::Failure::Malformed);
        }
        // An interim response is passed on, and the next head may be there already.
        const Step step =
            *end ? take_response_head(**end) : read_response_bytes(limits.header_bytes);
        const bool next_attempt = tries_.attempts != attempt;  // begins with its request, not here
        if (step != Step::Continue || next_attempt || stage_ != Stage::Exchanging ||
            answer_.started) {
            return step;
        }
    }
}

/// Continue: there is more to look at.
Exchange::Step Exchange::read_response_bytes(std::size_t most) {
    auto& buffer = to_client_.buffer();
    if (!attempt_.lease->readable) {
        return Step::Wait;
    }
    if (buffer.space().empty()) {
        buffer.reserve(std::min(buffer.capacity() * 2, most + 1));
    }
    const auto space = buffer.space();
    const auto result = attempt_.lease->stream().read(space);
    if (result.status == net::IoResult::Status::WouldBlock) {
        attempt_.lease->readable = false;
        return attempt_.request_failed ? no_response() : Step::Wait;
    }
    if (result.status != net::IoResult::Status::Ok) {
        return no_response();
    }
    attempt_.lease->readable = result.more || attempt_.lease->peer_closed;
    buffer.commit(result.bytes);
    to_client_.count_read(result.bytes);
    if (!attempt_.response_seen) {
        attempt_.response_seen = true;
        const auto now = proxy_.loop().now();
        auto& connections = *pool().slots[attempt_.slot];
        connections.cells().response_duration.observe(now - attempt_.progress);
        balancing::observe_latency(connections.backend()->load(), now - attempt_.began, now);
    }
    return Step::Continue;
}

/// The connection ended before a whole response head.
Exchange::Step Exchange::no_response() {
    // A reused connection that brought nothing may only have been stale: attempt_failed() counts
    // it.
    if (!attempt_.reused || attempt_.response_seen) {
        const auto failure = attempt_.response_seen ? metrics::ResponseFailure::Truncated
                                                    : metrics::ResponseFailure::Reset;
        pool().slots[attempt_.slot]->cells().response_failures[failure].add();
    }
    return attempt_failed(AttemptFacts::Failure::Reset);
}

Exchange::Step Exchange::take_response_head(std::size_t size) {
    answer_.head_size = size;
    proxy_.make_body_room(to_client_.buffer(), size);  // before the views are taken
    const auto parsed = http1::parse_response_head(to_client_.buffer().view().substr(0, size),
                                                   proxy_.response_limits(), answer_.head);
    const bool unasked = answer_.head.status == 101 && !(request_.upgrade && attempt_.request_sent);
    if (!parsed || unasked || !http::response_framing(answer_.head, request_.head.method)) {
        pool()
            .slots[attempt_.slot]
            ->cells()
            .response_failures[metrics::ResponseFailure::Protocol]
            .add();
        return attempt_failed(AttemptFacts::Failure::Malformed);
    }
    if (answer_.head.status == 101) {
        return start_tunnel();
    }
    return answer_.head.status < 200 ? pass_interim() : start_response();
}

/// 1xx goes on to a client that knows it (RFC 9110 §15.2) and is dropped for HTTP/1.0.
Exchange::Step Exchange::pass_interim() {
    if (request_.head.version == http::Version::Http11) {
        http::write_response_head(answer_.head, {}, response_edits(), to_client_.out().head());
        answer_.interim_passed = true;
        const auto result = to_client_.out().flush(session_->stream());
        if (result.status == net::IoResult::Status::Failed) {
            return finish(http::Reason::ClientClosed);
        }
        if (result.status == net::IoResult::Status::WouldBlock) {
            session_->watch_writable();  // what is left goes out in front of the next head
        }
    }
    to_client_.buffer().consume(answer_.head_size);
    to_client_.buffer().compact();
    attempt_.scan = {};
    return Step::Continue;
}

std::optional<AttemptFacts::Failure> Exchange::retryable_status() const {
    switch (answer_.head.status) {
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
std::string_view Exchange::new_cookie() const {
    const auto& sticky = pool().plan->sticky;
    return sticky && needs_cookie(*sticky, request_.head.fields, attempt_.slot)
               ? sticky->set_cookie(attempt_.slot, session_->secured())
               : std::string_view{};
}

/// What every response head of this attempt needs; the rest is the caller's.
http::ResponseEdits Exchange::response_edits() const {
    return {.hide_identity = pool_config().hide_backend_identity,
            .backend = pool().slots[attempt_.slot]->backend()->key().address,
            .host = request_.target.host,
            .tls = session_->secured(),
            .hsts = session_->hsts()};
}

Exchange::Step Exchange::start_response() {
    answer_.status = answer_.head.status;
    const auto framing = *http::response_framing(answer_.head, request_.head.method);
    const auto& backend = pool().slots[attempt_.slot]->backend();
    if (const auto failure = retryable_status()) {
        const auto verdict = decide_retry(facts(*failure), pool_config().retry);
        if (verdict.next == RetryVerdict::Next::OtherBackend) {
            park_response();
            return attempt_failed(*failure);
        }
        pool().cells->retries_denied[verdict.denial].add();
        report(*failure);
    } else if (backend->suspect.load(std::memory_order_relaxed) && proxy_.observer() != nullptr) {
        proxy_.observer()->traffic_succeeded(backend);
    }
    using Kind = http::BodyFraming::Kind;
    const bool unbounded = framing.kind == Kind::Chunked || framing.kind == Kind::UntilClose;
    const bool chunked = unbounded && request_.head.version == http::Version::Http11;
    answer_.close_delimited = unbounded && !chunked;
    answer_.backend_keeps_alive = framing.kind != Kind::UntilClose &&
                                  http::keeps_alive(answer_.head.version, answer_.head.fields);
    request_.keep_alive = request_.keep_alive && !answer_.close_delimited && !proxy_.draining();
    auto edits = response_edits();
    edits.close = !request_.keep_alive;
    edits.say_keep_alive = request_.head.version == http::Version::Http10;
    edits.chunked = chunked;
    edits.set_cookie = new_cookie();
    http::write_response_head(answer_.head, framing, edits, to_client_.out().head());
    to_client_.start(framing, answer_.head_size, chunked);
    begin_answer();
    return Step::Continue;
}

/// Keeps a 502, 503 or 504 that is about to be retried, if it is here as a whole: should nothing
/// better come, the client gets the last real answer instead of one of ours.
void Exchange::park_response() {
    const auto framing = *http::response_framing(answer_.head, request_.head.method);
    const auto body = to_client_.buffer().view().substr(answer_.head_size);
    const bool whole =
        framing.kind == http::BodyFraming::Kind::None ||
        (framing.kind == http::BodyFraming::Kind::Length && body.size() == framing.length);
    if (!whole) {
        return;
    }
    auto& parked = tries_.parked.emplace();
    parked.keep_alive = request_.keep_alive && to_backend_.source_complete() && !proxy_.draining();
    parked.status = answer_.head.status;
    auto edits = response_edits();
    edits.close = !parked.keep_alive;
    http::write_response_head(answer_.head, framing, edits, parked.text);
    if (framing.kind == http::BodyFraming::Kind::Length) {
        parked.text.append(body);
    }
}

Exchange::Step Exchange::pump_response() {
    const auto before = to_client_.out().written();
    const Pump::Status status = to_client_.run(backend_source(), client_sink());
    if (to_client_.out().written() != before) {
        request_.client_gone_since.reset();  // it reads: its grace begins anew (docs/adr/0005)
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
    if (attempt_.request_sent || attempt_.request_failed || attempt_.lease->peer_closed) {
        return finish(http::Reason::None);
    }
    // The answer came before the request's end. Most clients go on sending, and the backend may go
    // on reading; but one that waits for 100 Continue will not send what it was told not to.
    const bool waits_for_continue =
        request_.head.find(http::FieldId::Expect) != nullptr && to_backend_.body().received() == 0;
    return waits_for_continue || !request_.keep_alive ? finish(http::Reason::None) : Step::Wait;
}

/// The response broke off: the client must not take it for whole, or is told if it has seen
/// nothing.
Exchange::Step Exchange::broken_response(metrics::ResponseFailure failure) {
    pool().slots[attempt_.slot]->cells().response_failures[failure].add();
    attempt_.failed = failure == metrics::ResponseFailure::Timeout ? AttemptResult::ResponseTimeout
                      : failure == metrics::ResponseFailure::Protocol ? AttemptResult::Malformed
                                                                      : AttemptResult::Reset;
    report(failure == metrics::ResponseFailure::Timeout ? AttemptFacts::Failure::Timeout
                                                        : AttemptFacts::Failure::Reset);
    const auto reason = failure == metrics::ResponseFailure::Timeout ? http::Reason::BackendTimeout
                        : failure == metrics::ResponseFailure::Protocol
                            ? http::Reason::BackendBadResponse
                            : http::Reason::BackendReset;
    if (to_client_.out().written() == 0) {
        answer_.started = false;
        return reply(reason);
    }
    // Where only the close would mark the end, a reset tells that this is not it.
    answer_.reset_at_end = answer_.close_delimited;
    return finish(reason);
}

}  // namespace rproxy::proxy
