#include "control/rollout_policy.h"

#include "base/duration.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

namespace rproxy::control {

namespace {

/// A handful of failures may be anybody's bad luck; fewer than this are no verdict while there is
/// time to see more.
constexpr std::uint64_t kLeastFailures = 5;

/// A side that never fails would make any failure of the other infinitely worse.
constexpr double kFailureFloor = 0.01;

/// How sure a difference must be, in standard deviations of chance. It is looked at many times
/// during a rollout, so two would roll back one good change in a few.
constexpr double kSureness = 3;

/// At the end of the time the little that was seen must do.
constexpr std::uint64_t kLeastFailuresAtEnd = 2;
constexpr double kMostlyFailing = 0.5;

/// Slower by this factor and by at least this much: below a few milliseconds a factor is noise.
constexpr double kSlowerBy = 2;
constexpr std::chrono::milliseconds kSlowerByAtLeast{10};

/// A quantile needs answers on both sides of it.
struct LatencyTest {
    double quantile;
    const char* name;
    std::uint64_t least_answers;
};
constexpr std::array<LatencyTest, 2> kLatencyTests{{{0.5, "p50", 30}, {0.9, "p90", 100}}};

/// The first answers of new backends are slow (cold caches, new connections): latency is not looked
/// at before this part of the time has passed.
constexpr int kWarmUpDivisor = 3;

std::string percent_text(double ratio) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.3g%%", ratio * 100);
    return text.data();
}

std::string latency_text(std::chrono::nanoseconds latency) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.3gms", static_cast<double>(latency.count()) / 1e6);
    return text.data();
}

/// By how many standard deviations the candidate fails more often than chance explains.
double sureness(const SideCounts& stable, const SideCounts& candidate) {
    const auto of_stable = static_cast<double>(stable.requests);
    const auto of_candidate = static_cast<double>(candidate.requests);
    const double both =
        static_cast<double>(stable.failures + candidate.failures) / (of_stable + of_candidate);
    // Nothing to compare with, or nobody succeeded on either side: what is left is the floor.
    const double expected = stable.requests == 0 ? kFailureFloor : std::max(both, kFailureFloor);
    const double spread = 1 / of_candidate + (stable.requests == 0 ? 0 : 1 / of_stable);
    const double deviation = std::sqrt(std::min(expected, 1 - kFailureFloor) *
                                       (1 - std::min(expected, 1 - kFailureFloor)) * spread);
    return (candidate.failure_ratio() - stable.failure_ratio()) / deviation;
}

bool fails_more(const RolloutFacts& facts, const config::Rollout& settings, bool at_end) {
    const auto& [stable, candidate] =
        std::pair<const SideCounts&, const SideCounts&>{facts.stable, facts.candidate};
    const double most = settings.max_error_ratio * std::max(stable.failure_ratio(), kFailureFloor);
    if (candidate.requests == 0 || candidate.failure_ratio() <= most) {
        return false;
    }
    if (candidate.failures >= kLeastFailures && sureness(stable, candidate) > kSureness) {
        return true;
    }
    return at_end && candidate.failures >= kLeastFailuresAtEnd &&
           candidate.failure_ratio() > kMostlyFailing &&
           stable.failure_ratio() < kMostlyFailing / settings.max_error_ratio;
}

/// The quantile by which the candidate is too slow, if any.
const LatencyTest* slower(const SideCounts& stable, const SideCounts& candidate) {
    for (const auto& test : kLatencyTests) {
        if (std::min(stable.measured(), candidate.measured()) < test.least_answers) {
            continue;
        }
        const auto before = stable.latency(test.quantile);
        const auto after = candidate.latency(test.quantile);
        const auto most = std::max<double>(
            static_cast<double>(before->count()) * kSlowerBy,
            static_cast<double>((*before + std::chrono::nanoseconds{kSlowerByAtLeast}).count()));
        if (static_cast<double>(after->count()) > most) {
            return &test;
        }
    }
    return nullptr;
}

std::string both(const RolloutFacts& facts) {
    return "the new configuration: " + describe(facts.candidate) +
           "; the old one: " + describe(facts.stable);
}

std::string dead_pools_text(const std::vector<std::string>& pools) {
    std::string text;
    for (const auto& pool : pools) {
        text += (text.empty() ? "" : ", ") + pool;
    }
    return (pools.size() == 1 ? "pool " : "pools ") + text +
           (pools.size() == 1 ? " has" : " have") +
           " no healthy backend under the new configuration";
}

RolloutVerdict judge_traffic(const RolloutFacts& facts, const config::Rollout& settings) {
    using Next = RolloutVerdict::Next;
    const bool at_end = facts.in_stage >= settings.duration;
    if (fails_more(facts, settings, at_end)) {
        return {Next::RollBack, "it fails more: " + both(facts)};
    }
    if (facts.in_stage >= settings.duration / kWarmUpDivisor) {
        if (const auto* const test = slower(facts.stable, facts.candidate)) {
            return {Next::RollBack,
                    std::string("it is slower (") + test->name + " " +
                        latency_text(*facts.candidate.latency(test->quantile)) + " instead of " +
                        latency_text(*facts.stable.latency(test->quantile)) + "): " + both(facts)};
        }
    }
    if (!at_end) {
        return {};
    }
    if (facts.candidate.requests == 0) {
        return {Next::Promote, "no request came to compare by; its health checks passed"};
    }
    return {Next::Promote, "nothing speaks against it: " + both(facts)};
}

}  // namespace

std::uint64_t SideCounts::measured() const {
    return std::accumulate(latencies.begin(), latencies.end(), std::uint64_t{0});
}

std::optional<std::chrono::nanoseconds> SideCounts::latency(double quantile) const {
    const auto total = measured();
    if (total == 0) {
        return std::nullopt;
    }
    const double rank = quantile * static_cast<double>(total);
    double below = 0;
    for (std::size_t i = 0; i < latencies.size(); ++i) {
        const auto here = static_cast<double>(latencies[i]);
        if (here == 0 || below + here < rank) {
            below += here;
            continue;
        }
        const auto low = i == 0 ? std::chrono::nanoseconds{0} : metrics::kLatencyBounds[i - 1];
        // The last bucket has no end: what is in it is at least its beginning.
        const auto high = i < metrics::kLatencyBounds.size() ? metrics::kLatencyBounds[i] : low;
        const double part = std::clamp((rank - below) / here, 0.0, 1.0);
        return low + std::chrono::nanoseconds{static_cast<std::int64_t>(
                         static_cast<double>((high - low).count()) * part)};
    }
    return metrics::kLatencyBounds.back();
}

std::string_view to_string(RolloutStage stage) {
    return stage == RolloutStage::Checking ? "checking" : "comparing";
}

std::string describe(const SideCounts& side) {
    std::string text = std::to_string(side.failures) + " of " + std::to_string(side.requests) +
                       (side.requests == 1 ? " request" : " requests") + " failed";
    if (side.requests != 0) {
        text += " (" + percent_text(side.failure_ratio()) + ")";
    }
    if (const auto p90 = side.latency(0.9)) {
        text += ", p90 " + latency_text(*p90);
    }
    return text;
}

RolloutVerdict judge(const RolloutFacts& facts, const config::Rollout& settings) {
    using Next = RolloutVerdict::Next;
    const bool judged_by_checks = facts.stage == RolloutStage::Comparing || facts.checked ||
                                  facts.in_stage >= kLongestChecking;
    if (!judged_by_checks) {
        return {};
    }
    if (!facts.dead_pools.empty()) {
        return {Next::RollBack, dead_pools_text(facts.dead_pools)};
    }
    if (facts.stage == RolloutStage::Checking) {
        return {Next::BeginTraffic, facts.checked ? "its backends were checked"
                                                  : "not all of its backends were checked in time"};
    }
    return judge_traffic(facts, settings);
}

}  // namespace rproxy::control
