#pragma once

#include "base/clock.h"

#include <algorithm>

namespace rproxy::proxy {

/// Tokens for retries: so many in a burst, and then a share of the requests (product contract:
/// retry.budget), with a small rate that is always there for pools with little traffic.
class RetryBudget {
public:
    void on_request(double share) { tokens_ = std::min(tokens_ + share, kBurst); }
    /// Whether take() would find one.
    bool has(MonotonicTime now) {
        const std::chrono::duration<double> since = now - refilled_;
        tokens_ = std::min(tokens_ + std::max(since.count(), 0.0) * kPerSecond, kBurst);
        refilled_ = now;
        return tokens_ >= 1;
    }
    /// Takes one if there is one.
    bool take(MonotonicTime now) {
        const bool there = has(now);
        tokens_ -= there ? 1 : 0;
        return there;
    }

private:
    static constexpr double kBurst = 100;
    static constexpr double kPerSecond = 10;
    double tokens_{kBurst};
    MonotonicTime refilled_;
};

}  // namespace rproxy::proxy
