#pragma once

#include "base/clock.h"

#include <algorithm>

namespace rproxy::proxy {

/// Tokens for retries: so many in a burst, and then a share of the requests (product contract:
/// retry.budget), with a small rate that is always there for pools with little traffic.
class RetryBudget {
public:
    void on_request(double share) { tokens_ = std::min(tokens_ + share, kBurst); }
    /// Takes one if there is one.
    bool take(MonotonicTime now) {
        const std::chrono::duration<double> since = now - refilled_;
        tokens_ = std::min(tokens_ + std::max(since.count(), 0.0) * kPerSecond, kBurst);
        refilled_ = now;
        if (tokens_ < 1) {
            return false;
        }
        tokens_ -= 1;
        return true;
    }

private:
    static constexpr double kBurst = 100;
    static constexpr double kPerSecond = 10;
    double tokens_{kBurst};
    MonotonicTime refilled_;
};

}  // namespace rproxy::proxy
