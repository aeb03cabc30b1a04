#pragma once

#include "backends/connection_pool.h"
#include "proxy/key_watch.h"
#include "proxy/retry_budget.h"
#include "proxy/rollout_cells.h"
#include "proxy/wait_queue.h"
#include "runtime/plan.h"

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace rproxy::proxy {

/// A pool as one worker sees it.
struct WorkerPool {
    const runtime::PoolPlan* plan{nullptr};
    std::shared_ptr<const runtime::PoolPolicy> policy;
    std::vector<backends::ConnectionPool::Ref> slots;  ///< By the plan's slot.
    backends::PoolCells* cells{nullptr};
    RetryBudget* budget{nullptr};  ///< The worker's for this pool; kept over reloads.
    KeyWatch* keys{nullptr};       ///< Where every request goes by its client's address; else null.
    /// Requests that wait for a free slot; the worker's for this pool, so that a request that waits
    /// on an older plan is woken, too.
    WaitQueue* queue{nullptr};
};

/// A Plan with this worker's connections and counters looked up. Counted by the exchanges that run
/// on it: a plain count, worker thread only.
class WorkerPlan {
public:
    std::shared_ptr<const runtime::Plan> plan;
    std::vector<WorkerPool> pools;
    /// While a rollout goes on: its counts, and this side's part of them.
    std::shared_ptr<RolloutCells> rollout;
    RolloutSideCells* side_cells{nullptr};
    RolloutSide side{RolloutSide::Stable};

    /// Shared by reference; the last one deletes it, and with it lets go of the Snapshot.
    class Ref {
    public:
        Ref() = default;
        explicit Ref(std::unique_ptr<WorkerPlan> plan) : plan_(plan.release()) { ++plan_->uses_; }
        Ref(const Ref& other) : plan_(other.plan_) {
            if (plan_ != nullptr) {
                ++plan_->uses_;
            }
        }
        Ref(Ref&& other) noexcept : plan_(std::exchange(other.plan_, nullptr)) {}
        Ref& operator=(const Ref& other) { return *this = Ref(other); }
        Ref& operator=(Ref&& other) noexcept {
            Ref taken(std::move(other));
            std::swap(plan_, taken.plan_);
            return *this;
        }
        ~Ref() {
            if (plan_ != nullptr && --plan_->uses_ == 0) {
                delete plan_;
            }
        }
        friend bool operator==(const Ref& a, const Ref& b) { return a.plan_ == b.plan_; }
        WorkerPlan* operator->() const { return plan_; }
        WorkerPlan& operator*() const { return *plan_; }
        explicit operator bool() const { return plan_ != nullptr; }

    private:
        WorkerPlan* plan_{nullptr};
    };

private:
    std::size_t uses_{0};
};

}  // namespace rproxy::proxy
