#pragma once

#include "backends/retry_reserve.h"
#include "base/clock.h"

#include <algorithm>

namespace rproxy::proxy {

/// What one worker may spend on retries of a pool: a share of the requests it has had (product
/// contract: retry.budget), and once that is used up the reserve that all workers have in common.
/// Over any time, all workers together make no more retries than that share of all requests, what
/// the reserve holds, and what the workers had saved before. Worker thread only.
class RetryBudget {
public:
    void on_request(double share) { earned_ = std::min(earned_ + share, kMostSaved); }
    /// Whether take() would find one.
    bool has(const backends::RetryReserve& reserve, MonotonicTime now) const {
        return earned_ >= 1 || reserve.has(now);
    }
    /// Takes one if there is one.
    bool take(backends::RetryReserve& reserve, MonotonicTime now) {
        if (earned_ >= 1) {
            earned_ -= 1;
            return true;
        }
        return reserve.take(now);
    }

private:
    static constexpr double kMostSaved = 20;
    double earned_{0};
};

}  // namespace rproxy::proxy
