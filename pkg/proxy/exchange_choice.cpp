#include "base/hash.h"
#include "base/strings.h"
#include "proxy/exchange.h"
#include "proxy/proxy.h"
#include "proxy/session.h"
#include "proxy/stickiness.h"

#include <algorithm>

namespace rproxy::proxy {

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

}  // namespace rproxy::proxy
