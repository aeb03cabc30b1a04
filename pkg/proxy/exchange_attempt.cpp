#include "base/hash.h"
#include "base/strings.h"
#include "net/socket.h"
#include "proxy/exchange.h"
#include "proxy/proxy.h"
#include "proxy/session.h"
#include "proxy/stickiness.h"

#include <algorithm>

namespace rproxy::proxy {

Exchange::Step Exchange::start_attempt(bool fresh) {
    auto& connections = *pool().slots[slot_];
    ++attempts_;
    attempt_began_ = request_progress_ = proxy_.loop().now();
    response_seen_ = request_sent_ = request_failed_ = backend_deadline_passed_ = false;
    status_ = 0;
    response_scan_ = {};
    response_.buffer().reserve(proxy_.buffer_capacity());
    connections.cells().last_request.set(proxy_.loop().wall_now());
    lease_ = fresh ? backends::Lease{} : connections.take_idle(*this);
    reused_ = static_cast<bool>(lease_);
    if (reused_) {
        connections.cells().connection_reuses_total.add();
        begin_request();
        stage_ = Stage::Exchanging;
        return Step::Continue;
    }
    auto lease = connections.connect(*this);
    if (!lease) {
        connections.cells().connection_failures[metrics::ConnectionFailure::Unreachable].add();
        return attempt_failed(AttemptFacts::Failure::Connect);
    }
    lease_ = std::move(*lease);
    connecting_ = true;
    stage_ = Stage::Connecting;
    proxy_.loop().arm(backend_timer_, attempt_began_ + pool_config().timeouts.connect);
    return Step::Wait;
}

namespace {

metrics::ConnectionFailure connection_failure(int error) {
    switch (error) {
        case ECONNREFUSED:
        case ENOENT:  // a unix socket that is not there
            return metrics::ConnectionFailure::Refused;
        case ETIMEDOUT:
            return metrics::ConnectionFailure::Timeout;
        case ECONNRESET:
            return metrics::ConnectionFailure::Reset;
        default:
            return metrics::ConnectionFailure::Unreachable;
    }
}

}  // namespace

Exchange::Step Exchange::check_connected() {
    auto& cells = pool().slots[slot_]->cells();
    if (backend_deadline_passed_) {
        cells.connection_failures[metrics::ConnectionFailure::Timeout].add();
        return attempt_failed(AttemptFacts::Failure::Connect);
    }
    if (!lease_->writable) {
        return Step::Wait;
    }
    const auto error = net::connect_result(lease_->stream().fd());
    if (error || lease_->peer_closed) {
        cells.connection_failures[connection_failure(error.value())].add();
        return attempt_failed(AttemptFacts::Failure::Connect);
    }
    connecting_ = false;
    lease_->connected = true;
    cells.connections_total.add();
    cells.connect_duration.observe(proxy_.loop().now() - attempt_began_);
    proxy_.loop().cancel(backend_timer_);
    begin_request();
    stage_ = Stage::Exchanging;
    return Step::Continue;
}

/// Puts the head (again) in front of what was read of the body.
void Exchange::begin_request() {
    request_progress_ = proxy_.loop().now();
    auto& out = request_.out();
    out.clear(proxy_.buffer_capacity());
    const http::RequestEdits edits{client_,           session_->listener_port(), false,
                                   ids_.request_id(), ids_.traceparent(),        upgrade_};
    http::write_request_head(head_, target_, framing_, edits, out.head());
    if (attempts_ > 1) {
        request_.replay();
    }
}

/// Counts the attempt and lets go of its backend; `reusable` keeps the connection. An attempt
/// without an answer counts as an error unless it is nobody's: a client that leaves must not get a
/// backend ejected.
void Exchange::end_attempt(Blame blame, bool reusable) {
    if (attempts_ != 0 && (ticket_ || lease_)) {
        backend_time_ += proxy_.loop().now() - attempt_began_;
        auto& cells = pool().slots[slot_]->cells();
        const bool answered = response_seen_ && (status_ == 101 || status_ >= 200);
        if (answered || blame == Blame::Backend) {
            cells.requests[metrics::code_class(answered ? status_ : 0)].add();
        }
        cells.sent_bytes.add(request_.out().written());
        cells.received_bytes.add(response_.bytes_read());
    }
    const bool had_ticket = static_cast<bool>(ticket_);
    ticket_.release();
    if (reusable) {
        lease_.keep();
    }
    lease_.close();
    connecting_ = false;
    proxy_.loop().cancel(backend_timer_);
    if (had_ticket) {
        proxy_.slot_freed(pool());
    }
}

void Exchange::report(AttemptFacts::Failure failure) {
    auto kind = backends::TrafficFailure::Reset;
    switch (failure) {
        case AttemptFacts::Failure::Connect:
            kind = backend_deadline_passed_ ? backends::TrafficFailure::Timeout
                                            : backends::TrafficFailure::Refused;
            break;
        case AttemptFacts::Failure::Timeout:
            kind = backends::TrafficFailure::Timeout;
            break;
        case AttemptFacts::Failure::Status502:
        case AttemptFacts::Failure::Status503:
        case AttemptFacts::Failure::Status504:
            kind = backends::TrafficFailure::HttpStatus;
            break;
        case AttemptFacts::Failure::Reset:
        case AttemptFacts::Failure::Malformed:
            break;
    }
    if (proxy_.observer() != nullptr) {
        proxy_.observer()->traffic_failed(pool().slots[slot_]->backend(), kind);
    }
}

AttemptFacts Exchange::facts(AttemptFacts::Failure failure) {
    AttemptFacts facts;
    facts.failure = failure;
    facts.method = head_.method;
    facts.request_bytes_sent = request_.out().written() != 0;
    facts.response_bytes_seen = response_seen_;
    facts.response_forwarded = response_started_ || interim_passed_;
    facts.replayable = request_.replayable();
    facts.reused_connection = reused_;
    facts.fresh_used = fresh_used_;
    facts.retries = retries_;
    facts.budget_left = pool().budget->has(proxy_.loop().now());
    facts.other_backend = other_backend_left();
    return facts;
}

Exchange::Step Exchange::attempt_failed(AttemptFacts::Failure failure) {
    const AttemptFacts facts = this->facts(failure);
    const RetryVerdict verdict = decide_retry(facts, pool_config().retry);
    if (verdict.next == RetryVerdict::Next::OtherBackend &&
        failure != AttemptFacts::Failure::Connect) {
        pool().budget->take(proxy_.loop().now());
    }
    const bool stale = verdict.next == RetryVerdict::Next::FreshConnection;
    if (!stale) {
        report(failure);
    } else {
        pool()
            .slots[slot_]
            ->cells()
            .response_failures[metrics::ResponseFailure::StaleConnection]
            .add();
    }
    if (verdict.next == RetryVerdict::Next::GiveUp) {
        pool().cells->retries_denied[verdict.denial].add();
        return give_up(failure);
    }
    pool().cells->retries[verdict.reason].add();
    if (stale) {
        fresh_used_ = true;
        lease_.close();
        response_.reset(proxy_.buffer_capacity());
        return start_attempt(true);
    }
    ++retries_;
    excluded_.add(slot_);
    end_attempt(Blame::Backend);
    response_.reset(proxy_.buffer_capacity());
    return choose_backend();
}

/// An earlier backend did answer; that answer says more than ours would.
Exchange::Step Exchange::send_parked() {
    end_attempt(Blame::Backend);
    response_.out().head().append(parked_->view());
    parked_.reset();
    reply_reason_ = http::Reason::None;
    keep_alive_ = keep_alive_ && parked_keeps_;
    reply_lingers_ = !request_.source_complete();
    status_ = parked_status_;
    response_started_ = true;
    stage_ = Stage::Replying;
    return Step::Continue;
}

Exchange::Step Exchange::give_up(AttemptFacts::Failure failure) {
    using Failure = AttemptFacts::Failure;
    if (parked_ && !response_started_) {
        return send_parked();
    }
    if (pool().policy->all_down || pool().policy->fail_open) {
        return reply(http::Reason::NoHealthyBackend);
    }
    switch (failure) {
        case Failure::Connect:
            return reply(http::Reason::BackendConnectFailed);
        case Failure::Timeout:
            return reply(http::Reason::BackendTimeout);
        case Failure::Malformed:
            return reply(http::Reason::BackendBadResponse);
        case Failure::Reset:
        case Failure::Status502:
        case Failure::Status503:
        case Failure::Status504:
            break;
    }
    return reply(http::Reason::BackendReset);
}

}  // namespace rproxy::proxy
