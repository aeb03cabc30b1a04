#include "proxy/choice.h"

#include "proxy/stickiness.h"

#include <algorithm>

namespace rproxy::proxy {

namespace {

/// The slot of a backend that this client connection was given before, if it may still be used.
std::optional<std::uint32_t> pinned_slot(const WorkerPool& pool, std::uint64_t revision,
                                         const balancing::Excluded& excluded,
                                         PinnedBackend& pinned) {
    if (pinned.pool != pool.plan->state.get()) {
        return std::nullopt;
    }
    if (pinned.revision != revision) {
        const auto found =
            std::ranges::find(pool.plan->backends, pinned.backend, &runtime::BackendPlan::backend);
        if (found == pool.plan->backends.end()) {
            return std::nullopt;
        }
        pinned.slot = static_cast<std::uint32_t>(found - pool.plan->backends.begin());
        pinned.revision = revision;
    }
    if (!pool.policy->policy->offers(pinned.slot) || excluded.contains(pinned.slot)) {
        return std::nullopt;
    }
    return pinned.slot;
}

/// The slot of the request's side, else the one that the other side's backend has here: so it is
/// the same backend where both have it, and the one it had after a promotion.
std::optional<std::uint32_t> take_pinned(const WorkerPool& pool, const WorkerPlan& plan,
                                         const balancing::Excluded& excluded,
                                         PinnedBackends& pinned) {
    PinnedBackend& mine = pinned[static_cast<std::size_t>(plan.side)];
    if (const auto slot = pinned_slot(pool, plan.plan->revision, excluded, mine)) {
        return slot;
    }
    PinnedBackend others = pinned[1 - static_cast<std::size_t>(plan.side)];
    const auto slot = pinned_slot(pool, plan.plan->revision, excluded, others);
    if (slot) {
        mine = std::move(others);
    }
    return slot;
}

}  // namespace

std::optional<std::uint32_t> pick_backend(const WorkerPool& pool, const Request& request,
                                          const balancing::Pick& pick,
                                          std::unique_ptr<PinnedBackends>& pinned) {
    const auto& policy = *pool.policy->policy;
    if (pool.plan->sticky) {
        if (const auto slot =
                sticky_slot(*pool.plan->sticky, request.head.fields, policy, pick.excluded)) {
            return slot;
        }
    }
    const WorkerPlan& plan = *request.plan;
    const bool by_connection = pool.plan->config.selection.by == config::SelectionBy::Connection;
    if (by_connection && pinned) {
        if (const auto slot = take_pinned(pool, plan, pick.excluded, *pinned)) {
            return slot;
        }
    }
    const auto slot = policy.pick(pick);
    if (slot && by_connection) {
        if (!pinned) {
            pinned = std::make_unique<PinnedBackends>();
        }
        (*pinned)[static_cast<std::size_t>(plan.side)] = {
            pool.plan->state.get(), plan.plan->revision, *slot, pool.plan->backends[*slot].backend};
    }
    return slot;
}

bool has_other_backend(const WorkerPool& pool, balancing::Excluded excluded, std::uint32_t tried) {
    return excluded.add(tried) && pool.policy->policy->has_other_than(excluded);
}

}  // namespace rproxy::proxy
