#pragma once

#include "backends/backend.h"
#include "backends/pool_state.h"
#include "balancing/policy.h"
#include "proxy/exchange_state.h"
#include "proxy/worker_plan.h"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

/// Which backend a request gets: its cookie's, its connection's, or the policy's choice. Worker
/// thread only.
namespace rproxy::proxy {

/// The backend that a client connection keeps under `selection: {by: connection}`.
struct PinnedBackend {
    const backends::PoolState* pool{nullptr};  // compared, never followed
    std::uint64_t revision{0};                 // of the plan that `slot` belongs to
    std::uint32_t slot{0};
    std::shared_ptr<backends::Backend> backend;
};

/// One for each side of a rollout: a backend that only the candidate has must not move the
/// connection's other requests. By RolloutSide.
using PinnedBackends = std::array<PinnedBackend, 2>;

/// A slot of `pool`, one of `request.plan`, that is eligible and not excluded; nothing if there is
/// none. `pinned` is the connection's (null: nothing yet), and follows on the request's side.
std::optional<std::uint32_t> pick_backend(const WorkerPool& pool, const Request& request,
                                          const balancing::Pick& pick,
                                          std::unique_ptr<PinnedBackends>& pinned);

/// Whether a pick would find a backend besides `tried` and those excluded. Not tried out by a pick:
/// that would take a turn of round robin, and a failing backend could come first every time.
bool has_other_backend(const WorkerPool& pool, balancing::Excluded excluded, std::uint32_t tried);

}  // namespace rproxy::proxy
