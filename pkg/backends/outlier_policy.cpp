#include "backends/outlier_policy.h"

#include <algorithm>

namespace rproxy::backends {

namespace {

double failure_share(const OutlierPolicy::Sample& sample) {
    return sample.requests == 0
               ? 0
               : static_cast<double>(sample.failures) / static_cast<double>(sample.requests);
}

}  // namespace

bool OutlierPolicy::may_eject(const PoolView& pool) const {
    // A thousandth keeps 30 % of 10 from being 2.9999.
    const auto most = static_cast<std::size_t>(
        (settings_.max_ejected.fraction * static_cast<double>(pool.backends)) + 0.001);
    return pool.ejected < most && pool.available > 1;
}

std::vector<std::size_t> OutlierPolicy::outliers(std::span<const Sample> samples) const {
    std::vector<std::size_t> found;
    if (settings_.consecutive_failures == 0) {
        return found;
    }
    Sample all;
    for (const auto& sample : samples) {
        all.requests += sample.requests;
        all.failures += sample.failures;
    }
    for (std::size_t i = 0; i < samples.size(); ++i) {
        const auto& own = samples[i];
        const Sample others{all.requests - own.requests, all.failures - own.failures};
        const double share = failure_share(own);
        if (own.requests >= kLeastRequests && others.requests >= kLeastRequests &&
            share >= kLeastFailures && share >= kTimesTheOthers * failure_share(others)) {
            found.push_back(i);
        }
    }
    std::ranges::sort(found, [&](std::size_t a, std::size_t b) {
        const auto difference = failure_share(samples[a]) - failure_share(samples[b]);
        return difference != 0 ? difference > 0 : a < b;
    });
    return found;
}

}  // namespace rproxy::backends
