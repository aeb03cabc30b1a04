#pragma once

#include "metrics/bounds.h"
#include "metrics/cell.h"
#include "metrics/labels.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace rproxy::proxy {

using metrics::RolloutSide;

/// What one worker counts of one side of a rollout.
struct RolloutSideCells {
    metrics::Counter begun;     ///< Whatever becomes of them.
    metrics::Counter requests;  ///< Ended; not those that their client gave up.
    metrics::Counter failures;
    metrics::Histogram<metrics::kLatencyBounds> answer_time;  ///< First byte in to head out.
};

/// The counts of one rollout: each has its own, so that what ends late cannot be taken for what
/// belongs to the next. A worker writes its own part only; any thread reads.
class RolloutCells {
public:
    explicit RolloutCells(std::size_t workers) : workers_(workers) {}

    RolloutSideCells& cells(std::size_t worker, RolloutSide side) {
        return workers_[worker].sides[static_cast<std::size_t>(side)];
    }
    const RolloutSideCells& cells(std::size_t worker, RolloutSide side) const {
        return workers_[worker].sides[static_cast<std::size_t>(side)];
    }
    std::size_t workers() const { return workers_.size(); }

private:
    struct alignas(64) Worker {
        std::array<RolloutSideCells, 2> sides;
    };
    std::vector<Worker> workers_;
};

}  // namespace rproxy::proxy
