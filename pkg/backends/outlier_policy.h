#pragma once

#include "config/snapshot.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace rproxy::backends {

/// What a pool allows to be ejected, and who stands out in it. Facts in, verdict out; any thread.
class OutlierPolicy {
public:
    explicit OutlierPolicy(const config::Outlier& settings) : settings_(settings) {}

    struct PoolView {
        std::size_t backends{0};   ///< All but the draining and disabled ones.
        std::size_t ejected{0};    ///< Now.
        std::size_t available{0};  ///< HealthTracker::is_available() and not drained or disabled.
    };
    /// Whether one more may be ejected: within `max_ejected` of the pool, and never the last one
    /// that is available, because a bad answer is better than none.
    bool may_eject(const PoolView& pool) const;

    /// What traffic saw of one backend in the last period.
    struct Sample {
        std::uint64_t requests{0};
        std::uint64_t failures{0};
    };
    static constexpr std::uint64_t kLeastRequests = 50;  ///< Of it and of all others together.
    static constexpr double kLeastFailures = 0.3;        ///< Share of its requests.
    static constexpr double kTimesTheOthers = 3;

    /// The indices of those whose share of failures stands out from that of all others together,
    /// worst first. A pool that fails as a whole has no outlier: then it is not the backend's
    /// fault. Nothing while `consecutive_failures` is 0.
    std::vector<std::size_t> outliers(std::span<const Sample> samples) const;

private:
    config::Outlier settings_;
};

}  // namespace rproxy::backends
