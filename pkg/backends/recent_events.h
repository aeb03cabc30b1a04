#pragma once

#include "base/clock.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>

namespace rproxy::backends {

/// How many events lie within the last ten minutes, up to kMost.
class RecentEvents {
public:
    static constexpr std::chrono::minutes kWindow{10};
    static constexpr std::size_t kMost = 16;

    void add(MonotonicTime now) {
        times_[next_] = now;
        next_ = (next_ + 1) % kMost;
        size_ = std::min(size_ + 1, kMost);
    }
    std::size_t count(MonotonicTime now) const {
        return static_cast<std::size_t>(
            std::count_if(times_.begin(), times_.begin() + static_cast<std::ptrdiff_t>(size_),
                          [now](MonotonicTime time) { return now - time < kWindow; }));
    }

private:
    std::array<MonotonicTime, kMost> times_{};
    std::size_t next_{0};
    std::size_t size_{0};
};

}  // namespace rproxy::backends
