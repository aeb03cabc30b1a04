#include "balancing/smooth_schedule.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <utility>

namespace rproxy::balancing {

namespace {

/// Members of one weight. In nginx's method they are served strictly in turn among themselves
/// (equal weights, ties to the first), so a class needs only one current weight: that of the member
/// whose turn is next. A round of up to 65,536 steps then compares a few hundred classes at most,
/// because that many different weights already sum to more than the round.
struct WeightClass {
    std::int64_t weight{0};
    std::vector<std::uint32_t> members;
    std::size_t next{0};
    std::int64_t rounds{0};  ///< Completed turns of the whole class.

    /// nginx's current_weight of the next member after `step` steps: each step adds its weight,
    /// each time it was chosen took the total away.
    std::int64_t current(std::int64_t step, std::int64_t total) const {
        return weight * step - total * rounds;
    }
};

std::vector<std::uint64_t> scaled(std::span<const std::uint32_t> weights, std::size_t limit) {
    std::uint32_t divisor = weights.front();
    for (const std::uint32_t weight : weights) {
        divisor = std::gcd(divisor, weight);
    }
    std::vector<std::uint64_t> result;
    result.reserve(weights.size());
    std::uint64_t total = 0;
    for (const std::uint32_t weight : weights) {
        result.push_back(weight / divisor);
        total += weight / divisor;
    }
    if (total > limit) {
        const double factor = static_cast<double>(limit) / static_cast<double>(total);
        for (std::uint64_t& weight : result) {
            const double share = static_cast<double>(weight) * factor;
            weight = static_cast<std::uint64_t>(std::max(1LL, std::llround(share)));
        }
    }
    return result;
}

}  // namespace

std::vector<std::uint32_t> smooth_schedule(std::span<const std::uint32_t> weights,
                                           std::size_t limit) {
    std::map<std::uint64_t, WeightClass> by_weight;
    std::int64_t total = 0;
    std::uint32_t index = 0;
    for (const std::uint64_t weight : scaled(weights, limit)) {
        WeightClass& same = by_weight[weight];
        same.weight = static_cast<std::int64_t>(weight);
        same.members.push_back(index++);
        total += same.weight;
    }
    std::vector<WeightClass> classes;
    classes.reserve(by_weight.size());
    for (auto& [weight, same] : by_weight) {
        classes.push_back(std::move(same));
    }

    std::vector<std::uint32_t> round;
    round.reserve(static_cast<std::size_t>(total));
    for (std::int64_t step = 1; step <= total; ++step) {
        WeightClass* best = &classes.front();
        std::int64_t best_current = best->current(step, total);
        for (WeightClass& candidate : std::span(classes).subspan(1)) {
            const std::int64_t current = candidate.current(step, total);
            if (current > best_current ||
                (current == best_current &&
                 candidate.members[candidate.next] < best->members[best->next])) {
                best = &candidate;
                best_current = current;
            }
        }
        round.push_back(best->members[best->next]);
        if (++best->next == best->members.size()) {
            best->next = 0;
            ++best->rounds;
        }
    }
    return round;
}

}  // namespace rproxy::balancing
