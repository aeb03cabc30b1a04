#pragma once

#include "base/clock.h"

#include <chrono>

namespace rproxy::test {

/// Time that stands still until it is told to go on. Both clocks go together; the wall clock can be
/// set apart, as an operator's may be. One thread.
class ManualClock final : public Clock {
public:
    MonotonicTime now() const override { return now_; }
    WallTime wall_now() const override { return wall_; }
    void advance(std::chrono::nanoseconds by) {
        now_ += std::chrono::duration_cast<MonotonicTime::duration>(by);
        wall_ += std::chrono::duration_cast<WallTime::duration>(by);
    }
    void set_wall(WallTime time) { wall_ = time; }

private:
    MonotonicTime now_{std::chrono::hours{1000}};
    WallTime wall_{std::chrono::sys_days{std::chrono::year{2026} / 11 / 23}};
};

}  // namespace rproxy::test
