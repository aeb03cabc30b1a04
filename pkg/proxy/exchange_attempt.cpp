#include "base/hash.h"
#include "base/strings.h"
#include "net/socket.h"
#include "proxy/exchange.h"
#include "proxy/proxy.h"
#include "proxy/session.h"
#include "proxy/stickiness.h"

#include <algorithm>

namespace rproxy::proxy {

Ticket::Ticket(WorkerPool& pool, std::uint32_t slot) : pool_(&pool), slot_(slot) {
    auto& connections = *pool.slots[slot];
    connections.backend()->load().in_flight.fetch_add(1, std::memory_order_relaxed);
    connections.cells().requests_active.add();
    pool.policy->policy->load_changed(slot);
}

void Ticket::release() {
    if (pool_ == nullptr) {
        return;
    }
    WorkerPool& pool = *std::exchange(pool_, nullptr);
    auto& connections = *pool.slots[slot_];
    connections.backend()->load().in_flight.fetch_sub(1, std::memory_order_relaxed);
    connections.cells().requests_active.sub();
    pool.policy->policy->load_changed(slot_);
}

bool Ticket::admitted() const {
    const auto most = pool_->plan->backends[slot_].max_connections;
    return most == 0 ||
           pool_->slots[slot_]->backend()->load().in_flight.load(std::memory_order_relaxed) <= most;
}

std::uint64_t Exchange::hash_key() const {
    const auto& hash_on = plan_->pools[pool_index_].plan->config.hash_on;
    using Source = config::HashOn::Source;
    const bool by_content =
        plan_->pools[pool_index_].plan->config.method == balancing::Method::ConsistentHash;
    if (by_content && hash_on.source == Source::Path) {
        return stable_hash(target_.path);
    }
    if (by_content && hash_on.source != Source::ClientIp) {
        for (const http::Field& field : head_.fields) {
            if (hash_on.source == Source::Cookie && field.id == http::FieldId::Cookie) {
                const auto value = http::cookie_value(field.value, hash_on.name);
                if (!value.empty()) {
                    return stable_hash(value);
                }
            } else if (hash_on.source == Source::Header &&
                       equals_ignoring_case(field.name, hash_on.name)) {
                return stable_hash(field.value);
            }
        }
    }
    return client_.address.hash();
}

/// The backend that this client connection was given before, if it may still be used.
std::optional<std::uint32_t> Exchange::pinned_slot(const WorkerPool& pool) {
    PinnedBackend* const pinned = session_->pinned().get();
    if (pinned == nullptr || pinned->pool != pool.plan->state.get()) {
        return std::nullopt;
    }
    if (pinned->revision != plan_->plan->revision) {
        const auto found =
            std::ranges::find(pool.plan->backends, pinned->backend, &runtime::BackendPlan::backend);
        if (found == pool.plan->backends.end()) {
            return std::nullopt;
        }
        pinned->slot = static_cast<std::uint32_t>(found - pool.plan->backends.begin());
        pinned->revision = plan_->plan->revision;
    }
    if (!pool.policy->policy->offers(pinned->slot) || excluded_.contains(pinned->slot)) {
        return std::nullopt;
    }
    return pinned->slot;
}

std::optional<std::uint32_t> Exchange::pick(WorkerPool& pool) {
    if (pool.plan->sticky) {
        if (const auto slot =
                sticky_slot(*pool.plan->sticky, head_.fields, *pool.policy->policy, excluded_)) {
            return slot;
        }
    }
    const bool by_connection = pool.plan->config.selection.by == config::SelectionBy::Connection;
    if (by_connection) {
        if (const auto slot = pinned_slot(pool)) {
            return slot;
        }
    }
    const auto slot =
        pool.policy->policy->pick({hash_key(), proxy_.loop().now(), proxy_.rng(), excluded_});
    if (slot && by_connection) {
        session_->pinned() = std::make_unique<PinnedBackend>(
            PinnedBackend{pool.plan->state.get(), plan_->plan->revision, *slot,
                          pool.plan->backends[*slot].backend});
    }
    return slot;
}

/// Picks until a backend takes the request; leaves its ticket in ticket_.
std::optional<std::uint32_t> Exchange::admit(WorkerPool& pool) {
    // What is only full now may be tried later; what failed may not.
    const std::size_t tried = excluded_.size();
    saw_full_ = false;
    while (const auto slot = pick(pool)) {
        Ticket ticket(pool, *slot);
        if (ticket.admitted()) {
            ticket_ = std::move(ticket);
            excluded_.truncate(tried);
            return slot;
        }
        saw_full_ = true;
        pool.slots[*slot]->cells().connection_failures[metrics::ConnectionFailure::Limit].add();
        if (!excluded_.add(*slot)) {
            break;
        }
    }
    excluded_.truncate(tried);
    return std::nullopt;
}

Exchange::Step Exchange::choose_backend() {
    WorkerPool* chosen = &pool();
    if (chosen->plan->backends.empty()) {
        return reply(http::Reason::NoBackends);
    }
    if (chosen->policy->all_down && chosen->plan->fallback && !fallback_used_) {
        fallback_used_ = true;
        pool_index_ = *chosen->plan->fallback;
        chosen = &pool();
    }
    const auto slot = admit(*chosen);
    if (slot) {
        slot_ = *slot;
        if (chosen->policy->fail_open) {
            chosen->cells->fail_open_requests.add();
        }
        return start_attempt(false);
    }
    if (saw_full_) {
        return wait_in_queue(*chosen);
    }
    chosen->cells->no_backend.add();
    return no_backend(http::Reason::NoHealthyBackend);
}

/// Nobody to ask (any more): the last real answer, if there was one, else one of ours.
Exchange::Step Exchange::no_backend(http::Reason reason) {
    return parked_ ? send_parked() : reply(reason);
}

Exchange::Step Exchange::wait_in_queue(WorkerPool& pool) {
    const auto& queue = pool.plan->config.queue;
    auto& waiting = pool.plan->state->waiting;
    if (waiting.load(std::memory_order_relaxed) >= queue.limit) {
        pool.cells->queue_rejections[metrics::QueueRejection::Full].add();
        return no_backend(http::Reason::QueueFull);
    }
    backend_deadline_passed_ = false;
    waiting.fetch_add(1, std::memory_order_relaxed);
    pool.cells->queue_length.add();
    previous_waiting_ = pool.last_waiting;
    next_waiting_ = nullptr;
    (pool.last_waiting != nullptr ? pool.last_waiting->next_waiting_ : pool.first_waiting) = this;
    pool.last_waiting = this;
    queued_at_ = proxy_.loop().now();
    stage_ = Stage::Queued;
    proxy_.loop().arm(backend_timer_, queued_at_ + queue.timeout);
    return Step::Wait;
}

void Exchange::leave_queue() {
    if (stage_ != Stage::Queued) {
        return;
    }
    WorkerPool& waited = pool();
    (previous_waiting_ != nullptr ? previous_waiting_->next_waiting_ : waited.first_waiting) =
        next_waiting_;
    (next_waiting_ != nullptr ? next_waiting_->previous_waiting_ : waited.last_waiting) =
        previous_waiting_;
    next_waiting_ = previous_waiting_ = nullptr;
    waited.plan->state->waiting.fetch_sub(1, std::memory_order_relaxed);
    waited.cells->queue_length.sub();
    waited.cells->queue_duration.observe(proxy_.loop().now() - queued_at_);
    proxy_.loop().cancel(backend_timer_);
}

Exchange::Step Exchange::queued() {
    if (std::exchange(queue_slot_free_, false)) {
        // It keeps its place and its deadline until a backend really takes it.
        if (const auto slot = admit(pool())) {
            leave_queue();
            slot_ = *slot;
            proxy_.slot_freed(pool());  // there may be room for the next one, too
            return start_attempt(false);
        }
    }
    if (backend_deadline_passed_) {
        pool().cells->queue_rejections[metrics::QueueRejection::Timeout].add();
        leave_queue();
        return no_backend(http::Reason::QueueFull);
    }
    return Step::Wait;
}

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

/// Whether a pick would find a backend that this request has not tried. Not tried out by a pick:
/// that would take a turn of round robin, and a failing backend could come first every time.
bool Exchange::other_backend_left() {
    auto tried = excluded_;
    if (!tried.add(slot_)) {
        return false;
    }
    const auto& policy = *pool().policy->policy;
    const auto slots = static_cast<std::uint32_t>(pool().slots.size());
    for (std::uint32_t slot = 0; slot < slots; ++slot) {
        if (policy.offers(slot) && !tried.contains(slot)) {
            return true;
        }
    }
    return false;
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
