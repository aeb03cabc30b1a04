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
constexpr int kSlowerBy = 2;
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

/// So many of so many: what went wrong on one side.
struct Tally {
    std::uint64_t bad;
    std::uint64_t all;

    double share() const {
        return all == 0 ? 0 : static_cast<double>(bad) / static_cast<double>(all);
    }
};

/// By how many standard deviations the candidate's share is greater than chance explains.
double sureness(const Tally& stable, const Tally& candidate) {
    const double both = static_cast<double>(stable.bad + candidate.bad) /
                        static_cast<double>(stable.all + candidate.all);
    // Nothing to compare with, or nobody succeeded on either side: what is left is the floor.
    const double expected = std::min(
        stable.all == 0 ? kFailureFloor : std::max(both, kFailureFloor), 1 - kFailureFloor);
    const double spread = 1 / static_cast<double>(candidate.all) +
                          (stable.all == 0 ? 0 : 1 / static_cast<double>(stable.all));
    return (candidate.share() - stable.share()) / std::sqrt(expected * (1 - expected) * spread);
}

bool is_beyond_ratio(const Tally& stable, const Tally& candidate, const config::Rollout& settings) {
    return candidate.share() > settings.max_error_ratio * std::max(stable.share(), kFailureFloor);
}

bool is_surely_worse(const Tally& stable, const Tally& candidate, const config::Rollout& settings) {
    return is_beyond_ratio(stable, candidate, settings) && candidate.bad >= kLeastFailures &&
           sureness(stable, candidate) > kSureness;
}

/// By the little that there is at the end.
bool is_mostly_worse(const Tally& stable, const Tally& candidate, const config::Rollout& settings) {
    return is_beyond_ratio(stable, candidate, settings) && candidate.bad >= kLeastFailuresAtEnd &&
           candidate.share() > kMostlyFailing &&
           stable.share() < kMostlyFailing / settings.max_error_ratio;
}

bool fails_more(const RolloutFacts& facts, const config::Rollout& settings, bool at_end) {
    const Tally stable{facts.stable.failures, facts.stable.requests};
    const Tally candidate{facts.candidate.failures, facts.candidate.requests};
    return is_surely_worse(stable, candidate, settings) ||
           (at_end && is_mostly_worse(stable, candidate, settings));
}

/// A request that gets no answer is no failure before its timeouts are over, and never if its
/// client gives up first; both may take longer than the whole comparison.
bool answers_less(const RolloutFacts& facts, const config::Rollout& settings, bool at_end) {
    const Tally stable{facts.stable.unanswered(), facts.stable.begun};
    const Tally candidate{facts.candidate.unanswered(), facts.candidate.begun};
    // Some are always under way: how many are normal, only the other side can tell.
    return (stable.all != 0 && is_surely_worse(stable, candidate, settings)) ||
           (at_end && is_mostly_worse(stable, candidate, settings));
}

/// The quantile by which the candidate is too slow, if any. A bucket is wide: latencies of 24 and
/// 26 ms lie in two whose middles are a factor of two apart. So only the bounds are compared.
const LatencyTest* slower(const SideCounts& stable, const SideCounts& candidate) {
    for (const auto& test : kLatencyTests) {
        if (std::min(stable.measured(), candidate.measured()) < test.least_answers) {
            continue;
        }
        const auto before = stable.latency_bounds(test.quantile);
        const auto after = candidate.latency_bounds(test.quantile);
        if (before && after->above >= before->at_most * kSlowerBy &&
            after->above >= before->at_most + kSlowerByAtLeast) {
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
        if (answers_less(facts, settings, at_end)) {
            return {Next::RollBack, "its requests get no answer: " + both(facts)};
        }
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
    if (facts.candidate.begun == 0) {
        return {Next::Promote, "no request came to compare by; its health checks passed"};
    }
    return {Next::Promote, "nothing speaks against it: " + both(facts)};
}

}  // namespace

std::uint64_t SideCounts::measured() const {
    return std::accumulate(latencies.begin(), latencies.end(), std::uint64_t{0});
}

namespace {

/// The bucket that the value at `rank` of a side's answers is in, and how many are in those before.
struct Place {
    std::size_t bucket;
    double before;
};

Place place_of(const SideCounts& side, double rank) {
    double before = 0;
    std::size_t last = 0;
    for (std::size_t i = 0; i < side.latencies.size(); ++i) {
        const auto here = static_cast<double>(side.latencies[i]);
        if (here == 0) {
            continue;
        }
        if (before + here >= rank) {
            return {i, before};
        }
        last = i;
        before += here;
    }
    return {last, before - static_cast<double>(side.latencies[last])};
}

std::chrono::nanoseconds lower_bound_of(std::size_t bucket) {
    return bucket == 0 ? std::chrono::nanoseconds{0} : metrics::kLatencyBounds[bucket - 1];
}

}  // namespace

std::optional<std::chrono::nanoseconds> SideCounts::latency(double quantile) const {
    const auto total = measured();
    if (total == 0) {
        return std::nullopt;
    }
    const double rank = quantile * static_cast<double>(total);
    const auto place = place_of(*this, rank);
    const auto low = lower_bound_of(place.bucket);
    // The last bucket has no end: what is in it is at least its beginning.
    const auto high =
        place.bucket < metrics::kLatencyBounds.size() ? metrics::kLatencyBounds[place.bucket] : low;
    const double part =
        std::clamp((rank - place.before) / static_cast<double>(latencies[place.bucket]), 0.0, 1.0);
    return low + std::chrono::nanoseconds{
                     static_cast<std::int64_t>(static_cast<double>((high - low).count()) * part)};
}

std::optional<SideCounts::Bounds> SideCounts::latency_bounds(double quantile) const {
    const auto total = measured();
    if (total == 0) {
        return std::nullopt;
    }
    const auto bucket = place_of(*this, quantile * static_cast<double>(total)).bucket;
    const auto above = lower_bound_of(bucket);
    return Bounds{above, bucket < metrics::kLatencyBounds.size() ? metrics::kLatencyBounds[bucket]
                                                                 : kNoBound};
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
    if (side.unanswered() != 0) {
        text += ", " + std::to_string(side.unanswered()) + " without an answer";
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
