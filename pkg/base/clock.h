#pragma once

#include <chrono>

namespace rproxy {

/// For deadlines and intervals: never jumps.
using MonotonicTime = std::chrono::steady_clock::time_point;
/// For what people and Prometheus read: may jump.
using WallTime = std::chrono::system_clock::time_point;

/// Where time comes from outside the workers (those read their loop's cached time once per turn).
/// Any thread. Tests pass test_support's ManualClock.
class Clock {
public:
    virtual ~Clock() = default;
    virtual MonotonicTime now() const = 0;
    virtual WallTime wall_now() const = 0;
};

/// The machine's clocks.
class SystemClock final : public Clock {
public:
    MonotonicTime now() const override { return std::chrono::steady_clock::now(); }
    WallTime wall_now() const override { return std::chrono::system_clock::now(); }
};

/// Unix time in seconds with its fraction, as metrics and logs show it.
inline double unix_seconds(WallTime time) {
    return std::chrono::duration<double>(time.time_since_epoch()).count();
}

}  // namespace rproxy
