#include "net/socket.h"
#include "proxy/choice.h"
#include "proxy/exchange.h"
#include "proxy/hash_key.h"
#include "proxy/proxy.h"
#include "proxy/session.h"

#include <algorithm>
#include <limits>

namespace rproxy::proxy {

/// Picks until a backend takes the request; leaves its ticket in the attempt.
std::optional<std::uint32_t> Exchange::admit(WorkerPool& pool) {
    // What is only full now may be tried later; what failed may not.
    const std::size_t tried = tries_.excluded.size();
    tries_.saw_full = false;
    const HashKey key =
        hash_key(pool.plan->config, request_.target, request_.head.fields, request_.client.address);
    const balancing::Pick facts{key.hash, proxy_.loop().now(), proxy_.rng(), tries_.excluded};
    while (const auto slot = pick_backend(pool, request_, facts, session_->pinned())) {
        Ticket ticket(pool, *slot);
        if (ticket.admitted()) {
            attempt_.ticket = std::move(ticket);
            tries_.excluded.truncate(tried);
            return slot;
        }
        tries_.saw_full = true;
        pool.slots[*slot]->cells().connection_failures[metrics::ConnectionFailure::Limit].add();
        if (!tries_.excluded.add(*slot)) {
            break;
        }
    }
    tries_.excluded.truncate(tried);
    return std::nullopt;
}

/// A request that was given to no backend yet goes on with the newest plan: the one it began with
/// knows nothing of what has come, gone or fallen while it waited.
void Exchange::follow_plan() {
    const auto& newest = proxy_.newest(request_.plan);
    if (newest == request_.plan || tries_.attempts != 0) {
        return;
    }
    const auto same = std::ranges::find_if(newest->pools, [this](const WorkerPool& candidate) {
        return candidate.plan->state == pool().plan->state;
    });
    if (same != newest->pools.end()) {  // else its pool is gone: it ends with what it has
        request_.pool = static_cast<std::uint32_t>(same - newest->pools.begin());
        // What was begun on a side that is no more is in nobody's counts.
        request_.compared = request_.compared && newest->side_cells == request_.plan->side_cells;
        request_.plan = newest;
    }
}

Exchange::Step Exchange::choose_backend() {
    WorkerPool* chosen = &pool();
    if (chosen->policy->all_down && chosen->plan->fallback && !tries_.fallback_used) {
        tries_.fallback_used = true;
        tries_.excluded.clear();  // slots of the other pool
        request_.pool = *chosen->plan->fallback;
        chosen = &pool();
        chosen->budget->on_request(pool_config().retry.budget.fraction);
    }
    if (chosen->plan->config.backends.empty()) {
        return reply(http::Reason::NoBackends);
    }
    if (chosen->keys != nullptr && tries_.attempts == 0) {
        proxy_.watch_key(*chosen, request_.client.address);
    }
    const auto slot = admit(*chosen);
    if (slot) {
        attempt_.slot = *slot;
        if (chosen->policy->fail_open) {
            chosen->cells->fail_open_requests.add();
        }
        return start_attempt(false);
    }
    if (tries_.saw_full) {
        return wait_in_queue(*chosen);
    }
    chosen->cells->no_backend.add();
    return no_backend(http::Reason::NoHealthyBackend);
}

/// Nobody to ask (any more): the last real answer, if there was one, else one of ours.
Exchange::Step Exchange::no_backend(http::Reason reason) {
    return tries_.parked ? send_parked() : reply(reason);
}

Exchange::Step Exchange::wait_in_queue(WorkerPool& pool) {
    const auto& queue = pool.plan->config.queue;
    auto& waiting = pool.plan->state->waiting;
    if (waiting.load(std::memory_order_relaxed) >= queue.limit) {
        pool.cells->queue_rejections[metrics::QueueRejection::Full].add();
        return no_backend(http::Reason::QueueFull);
    }
    attempt_.deadline_passed = false;
    waiting.fetch_add(1, std::memory_order_relaxed);
    pool.cells->queue_length.add();
    waiter_ = {.session = session_,
               .since = proxy_.loop().now(),
               .pool = &pool,
               .choosy = !tries_.excluded.empty()};
    pool.queue->push(waiter_);
    stage_ = Stage::Queued;
    proxy_.loop().arm(backend_timer_, waiter_.since + queue.timeout);
    return Step::Wait;
}

void Exchange::leave_queue() {
    if (stage_ != Stage::Queued) {
        return;
    }
    WorkerPool& waited = pool();
    waited.queue->remove(waiter_);
    waited.plan->state->waiting.fetch_sub(1, std::memory_order_relaxed);
    waited.cells->queue_length.sub();
    tries_.queued += proxy_.loop().now() - waiter_.since;
    waited.cells->queue_duration.observe(proxy_.loop().now() - waiter_.since);
    proxy_.loop().cancel(backend_timer_);
    if (std::exchange(waiter_.woken, false)) {
        proxy_.slot_freed(waited);  // it ends without having looked
    }
}

Exchange::Step Exchange::queued() {
    if (std::exchange(waiter_.woken, false)) {
        follow_plan();
        // It keeps its place and its deadline until a backend really takes it.
        if (const auto slot = admit(pool())) {
            leave_queue();
            attempt_.slot = *slot;
            proxy_.slot_freed(pool());  // there may be room for the next one, too
            return start_attempt(false);
        }
        waiter_.pool = &pool();
        proxy_.pass_on(pool(), waiter_);
    }
    if (attempt_.deadline_passed) {
        tries_.fired(FiredTimer::Queue);
        pool().cells->queue_rejections[metrics::QueueRejection::Timeout].add();
        leave_queue();
        return no_backend(http::Reason::QueueFull);
    }
    return Step::Wait;
}

Exchange::Step Exchange::start_attempt(bool fresh) {
    auto& connections = *pool().slots[attempt_.slot];
    ++tries_.attempts;
    tries_.backend = &pool().plan->backends[attempt_.slot];
    tries_.plan = request_.plan;
    const auto now = proxy_.loop().now();
    Ticket ticket = std::move(attempt_.ticket);
    attempt_ = {.slot = attempt_.slot, .began = now, .progress = now};
    attempt_.ticket = std::move(ticket);
    answer_.status = 0;
    to_client_.buffer().reserve(proxy_.buffer_capacity());
    connections.cells().last_request.set(proxy_.loop().wall_now());
    attempt_.lease =
        fresh ? backends::Lease{} : connections.take_idle(*this, pool().plan->tls.get());
    attempt_.reused = static_cast<bool>(attempt_.lease);
    if (attempt_.reused) {
        connections.cells().connection_reuses_total.add();
        begin_request();
        stage_ = Stage::Exchanging;
        return Step::Continue;
    }
    auto lease =
        connections.connect(*this, {pool().plan->tls, pool().plan->backends[attempt_.slot].host});
    if (!lease) {
        connections.cells().connection_failures[metrics::ConnectionFailure::Unreachable].add();
        return attempt_failed(AttemptFacts::Failure::Connect);
    }
    attempt_.lease = std::move(*lease);
    stage_ = Stage::Connecting;
    proxy_.loop().arm(backend_timer_, attempt_.began + pool_config().timeouts.connect);
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
    auto& cells = pool().slots[attempt_.slot]->cells();
    if (attempt_.deadline_passed) {
        tries_.fired(FiredTimer::Connect);
        cells.connection_failures[metrics::ConnectionFailure::Timeout].add();
        return attempt_failed(AttemptFacts::Failure::Connect);
    }
    if (!attempt_.lease->writable) {
        return Step::Wait;
    }
    if (!attempt_.lease->connected) {
        const auto error = net::connect_result(attempt_.lease->stream().fd());
        if (error || attempt_.lease->peer_closed) {
            cells.connection_failures[connection_failure(error.value())].add();
            return attempt_failed(AttemptFacts::Failure::Connect);
        }
        attempt_.lease->connected = true;
    }
    const auto shaken = attempt_.lease->stream().handshake();
    if (shaken.status == net::IoResult::Status::WouldBlock) {
        return Step::Wait;
    }
    if (shaken.status != net::IoResult::Status::Ok) {
        cells.connection_failures[metrics::ConnectionFailure::Tls].add();
        proxy_.report_insecure_backend(*pool().slots[attempt_.slot]->backend(),
                                       attempt_.lease->stream().layer()->problem());
        return attempt_failed(AttemptFacts::Failure::Connect);
    }
    if (attempt_.lease->stream().secured()) {
        attempt_.lease->readable = shaken.more || attempt_.lease->peer_closed;
    }
    cells.connections_total.add();
    cells.connect_duration.observe(proxy_.loop().now() - attempt_.began);
    proxy_.loop().cancel(backend_timer_);
    begin_request();
    stage_ = Stage::Exchanging;
    return Step::Continue;
}

/// Puts the head (again) in front of what was read of the body.
void Exchange::begin_request() {
    attempt_.progress = proxy_.loop().now();
    auto& out = to_backend_.out();
    out.clear(proxy_.buffer_capacity());
    const http::RequestEdits edits{.client = request_.client,
                                   .listener_port = session_->listener_port(),
                                   .tls = session_->secured(),
                                   .request_id = request_.ids.request_id(),
                                   .traceparent = request_.ids.traceparent(),
                                   .upgrade = request_.upgrade,
                                   .certificate_fields = request_.plan->plan->certificate_fields,
                                   .subject_field = session_->subject_field(),
                                   .subject = session_->subject()};
    http::write_request_head(request_.head, request_.target, request_.framing, edits, out.head());
    if (tries_.attempts > 1) {
        to_backend_.replay();
    }
}

/// For the flight recorder, if it comes to that.
void Exchange::note_attempt(AttemptResult result) {
    const auto took =
        std::chrono::duration_cast<std::chrono::microseconds>(proxy_.loop().now() - attempt_.began);
    const bool has_status = attempt_.response_seen && answer_.head.status >= 200;
    tries_.notes.add({attempt_.slot, request_.pool,
                      static_cast<std::uint32_t>(std::min<std::int64_t>(
                          took.count(), std::numeric_limits<std::uint32_t>::max())),
                      has_status ? answer_.head.status : std::uint16_t{0}, result});
}

/// Counts the attempt and lets go of its backend; `reusable` keeps the connection. An attempt
/// without an answer counts as an error unless it is nobody's: a client that leaves must not get a
/// backend ejected.
void Exchange::end_attempt(Blame blame, bool reusable) {
    if (tries_.attempts != 0 && (attempt_.ticket || attempt_.lease)) {
        tries_.backend_time += proxy_.loop().now() - attempt_.began;
        auto& cells = pool().slots[attempt_.slot]->cells();
        const bool answered =
            attempt_.response_seen && (answer_.status == 101 || answer_.status >= 200);
        if (answered || blame == Blame::Backend) {
            cells.requests[metrics::code_class(answered ? answer_.status : 0)].add();
        }
        note_attempt(
            attempt_.failed.value_or(answered ? AttemptResult::Answered : AttemptResult::Cut));
        cells.sent_bytes.add(to_backend_.out().written());
        cells.received_bytes.add(to_client_.bytes_read());
    }
    const bool had_ticket = static_cast<bool>(attempt_.ticket);
    attempt_.ticket.release();
    if (reusable) {
        attempt_.lease.keep();
    }
    attempt_.lease.close();
    proxy_.loop().cancel(backend_timer_);
    if (had_ticket) {
        proxy_.slot_freed(pool());
    }
}

void Exchange::report(AttemptFacts::Failure failure) {
    auto kind = backends::TrafficFailure::Reset;
    switch (failure) {
        case AttemptFacts::Failure::Connect:
            kind = attempt_.deadline_passed ? backends::TrafficFailure::Timeout
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
    if (proxy_.observer() != nullptr && !pool().plan->backends[attempt_.slot].shared) {
        proxy_.observer()->traffic_failed(pool().slots[attempt_.slot]->backend(), kind);
    }
}

AttemptFacts Exchange::facts(AttemptFacts::Failure failure) const {
    AttemptFacts facts;
    facts.failure = failure;
    facts.method = request_.head.method;
    facts.request_bytes_sent = to_backend_.out().written() != 0;
    facts.response_bytes_seen = attempt_.response_seen;
    facts.response_forwarded = answer_.started || answer_.interim_passed;
    facts.replayable = to_backend_.replayable();
    facts.reused_connection = attempt_.reused;
    facts.fresh_used = tries_.fresh_used;
    facts.retries = tries_.retries;
    facts.budget_left =
        pool_config().retry.budget.fraction > 0 &&
        pool().budget->has(pool().plan->state->retry_reserve(), proxy_.loop().now());
    facts.other_backend = has_other_backend(pool(), tries_.excluded, attempt_.slot);
    return facts;
}

Exchange::Step Exchange::attempt_failed(AttemptFacts::Failure failure) {
    const AttemptFacts facts = this->facts(failure);
    const RetryVerdict verdict = decide_retry(facts, pool_config().retry);
    if (verdict.next == RetryVerdict::Next::OtherBackend &&
        failure != AttemptFacts::Failure::Connect) {
        pool().budget->take(pool().plan->state->retry_reserve(), proxy_.loop().now());
    }
    const bool stale = verdict.next == RetryVerdict::Next::FreshConnection;
    attempt_.failed = attempt_result(failure, attempt_.deadline_passed);
    if (!stale) {
        report(failure);
        if (!is_status(failure)) {
            const auto now = proxy_.loop().now();
            balancing::observe_failure(pool().slots[attempt_.slot]->backend()->load(),
                                       now - attempt_.began, now);
        }
    } else {
        pool()
            .slots[attempt_.slot]
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
        tries_.fresh_used = true;
        note_attempt(AttemptResult::StaleConnection);
        attempt_.lease.close();
        to_client_.reset(proxy_.buffer_capacity());
        return start_attempt(true);
    }
    ++tries_.retries;
    tries_.excluded.add(attempt_.slot);
    end_attempt(Blame::Backend);
    to_client_.reset(proxy_.buffer_capacity());
    return choose_backend();
}

/// An earlier backend did answer; that answer says more than ours would.
Exchange::Step Exchange::send_parked() {
    end_attempt(Blame::Backend);
    to_client_.out().head().append(tries_.parked->text.view());
    answer_.reason = http::Reason::None;
    request_.keep_alive = request_.keep_alive && tries_.parked->keep_alive;
    answer_.lingers = !to_backend_.source_complete();
    answer_.status = tries_.parked->status;
    tries_.parked.reset();
    begin_answer();
    stage_ = Stage::Replying;
    return Step::Continue;
}

Exchange::Step Exchange::give_up(AttemptFacts::Failure failure) {
    using Failure = AttemptFacts::Failure;
    if (tries_.parked && !answer_.started) {
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
