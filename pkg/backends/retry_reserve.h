#pragma once

#include "base/clock.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>

namespace rproxy::backends {

/// The retries that a pool may make beyond its share of the requests: kBurst at once, and
/// kPerSecond, so that a crash costs nothing and a pool with little traffic has some. One for all
/// workers, who come here only when their own share is used up. Any thread, lock-free.
class RetryReserve {
public:
    static constexpr std::int64_t kBurst = 100;
    static constexpr std::int64_t kPerSecond = 10;

    /// Whether take() would find one.
    bool has(MonotonicTime now) const {
        return fits(full_at_.load(std::memory_order_relaxed), now);
    }
    /// Takes one if there is one.
    bool take(MonotonicTime now) {
        std::int64_t full_at = full_at_.load(std::memory_order_relaxed);
        while (fits(full_at, now)) {
            if (full_at_.compare_exchange_weak(full_at, std::max(full_at, nanoseconds(now)) + kEach,
                                               std::memory_order_relaxed)) {
                return true;
            }
        }
        return false;
    }

private:
    static constexpr std::int64_t kEach = 1'000'000'000 / kPerSecond;

    static std::int64_t nanoseconds(MonotonicTime time) {
        return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch())
            .count();
    }
    static bool fits(std::int64_t full_at, MonotonicTime now) {
        return full_at + kEach <= nanoseconds(now) + kBurst * kEach;
    }

    /// When nothing will be missing any more: one number is the whole bucket, so that a taker needs
    /// one exchange (the "virtual scheduling" form of a leaky bucket, ITU-T I.371).
    std::atomic<std::int64_t> full_at_{0};
};

}  // namespace rproxy::backends
