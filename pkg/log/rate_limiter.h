#pragma once

#include "base/clock.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>

namespace rproxy::log {

/// Bounds the messages that a peer can trigger at will: so many in each interval, and the next
/// admitted one tells how many were left out:
///
///     if (const auto suppressed = limiter_.admit(now)) {
///         log::warn("request refused", "reason", reason, "suppressed", *suppressed);
///     }
///
/// Any thread; lock-free. Intervals are those of the clock, not of the first message.
class RateLimiter {
public:
    /// At most 65535 messages in each interval.
    RateLimiter(std::uint16_t messages, std::chrono::milliseconds interval)
        : messages_(messages), interval_(interval) {}

    /// Nothing: do not log this one. Else how many were suppressed since the last admitted one.
    std::optional<std::uint64_t> admit(MonotonicTime now);

private:
    const std::uint16_t messages_;
    const MonotonicTime::duration interval_;
    /// The number of the interval (48 bits) and what it has admitted (16 bits), in one word so that
    /// both change together.
    std::atomic<std::uint64_t> state_{0};
    std::atomic<std::uint64_t> suppressed_{0};
};

}  // namespace rproxy::log
