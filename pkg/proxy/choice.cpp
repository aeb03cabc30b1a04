#include "proxy/choice.h"

#include "proxy/stickiness.h"

#include <algorithm>

namespace rproxy::proxy {

namespace {

/// The backend that this client connection was given before, if it may still be used.
std::optional<std::uint32_t> pinned_slot(const WorkerPool& pool, std::uint64_t revision,
                                         const balancing::Excluded& excluded,
                                         PinnedBackend* pinned) {
    if (pinned == nullptr || pinned->pool != pool.plan->state.get()) {
        return std::nullopt;
    }
    if (pinned->revision != revision) {
        const auto found =
            std::ranges::find(pool.plan->backends, pinned->backend, &runtime::BackendPlan::backend);
        if (found == pool.plan->backends.end()) {
            return std::nullopt;
        }
        pinned->slot = static_cast<std::uint32_t>(found - pool.plan->backends.begin());
        pinned->revision = revision;
    }
    if (!pool.policy->policy->offers(pinned->slot) || excluded.contains(pinned->slot)) {
        return std::nullopt;
    }
    return pinned->slot;
}

}  // namespace

std::optional<std::uint32_t> pick_backend(const WorkerPool& pool, const Request& request,
                                          const balancing::Pick& pick,
                                          std::unique_ptr<PinnedBackend>& pinned) {
    const auto& policy = *pool.policy->policy;
    if (pool.plan->sticky) {
        if (const auto slot =
                sticky_slot(*pool.plan->sticky, request.head.fields, policy, pick.excluded)) {
            return slot;
        }
    }
    const auto revision = request.plan->plan->revision;
    const bool by_connection = pool.plan->config.selection.by == config::SelectionBy::Connection;
    if (by_connection) {
        if (const auto slot = pinned_slot(pool, revision, pick.excluded, pinned.get())) {
            return slot;
        }
    }
    const auto slot = policy.pick(pick);
    if (slot && by_connection) {
        pinned = std::make_unique<PinnedBackend>(PinnedBackend{
            pool.plan->state.get(), revision, *slot, pool.plan->backends[*slot].backend});
    }
    return slot;
}

bool has_other_backend(const WorkerPool& pool, balancing::Excluded excluded, std::uint32_t tried) {
    return excluded.add(tried) && pool.policy->policy->has_other_than(excluded);
}

}  // namespace rproxy::proxy
