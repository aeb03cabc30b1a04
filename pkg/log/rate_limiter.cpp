#include "log/rate_limiter.h"

namespace rproxy::log {

std::optional<std::uint64_t> RateLimiter::admit(MonotonicTime now) {
    constexpr unsigned kCountBits = 16;
    constexpr std::uint64_t kCountMask = (1U << kCountBits) - 1;
    const auto interval = static_cast<std::uint64_t>(now.time_since_epoch() / interval_)
                          << kCountBits;
    auto state = state_.load(std::memory_order_relaxed);
    std::uint64_t next = 0;
    do {
        const auto admitted = (state & ~kCountMask) == interval ? state & kCountMask : 0;
        if (admitted >= messages_) {
            suppressed_.fetch_add(1, std::memory_order_relaxed);
            return std::nullopt;
        }
        next = interval | (admitted + 1);
    } while (!state_.compare_exchange_weak(state, next, std::memory_order_relaxed));
    return suppressed_.exchange(0, std::memory_order_relaxed);
}

}  // namespace rproxy::log
