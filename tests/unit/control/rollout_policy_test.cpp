#include "control/rollout_policy.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace rproxy::control {
namespace {

using namespace std::chrono_literals;
using Next = RolloutVerdict::Next;

/// `requests` answered within 1 ms each, `failures` of them badly.
SideCounts side(std::uint64_t requests, std::uint64_t failures) {
    SideCounts counts;
    counts.begun = requests;
    counts.requests = requests;
    counts.failures = failures;
    counts.latencies[0] = requests;
    return counts;
}

/// All in the bucket that ends with `bound`.
SideCounts answered_within(std::chrono::nanoseconds bound, std::uint64_t requests) {
    SideCounts counts;
    counts.begun = requests;
    counts.requests = requests;
    for (std::size_t i = 0; i < metrics::kLatencyBounds.size(); ++i) {
        counts.latencies[i] = metrics::kLatencyBounds[i] == bound ? requests : 0;
    }
    return counts;
}

RolloutFacts comparing(Duration in_stage, SideCounts stable, SideCounts candidate) {
    RolloutFacts facts;
    facts.stage = RolloutStage::Comparing;
    facts.checked = true;
    facts.in_stage = in_stage;
    facts.stable = stable;
    facts.candidate = candidate;
    return facts;
}

struct FailureRow {
    const char* what;
    Duration in_stage;
    SideCounts stable;
    SideCounts candidate;
    Next next;
};

class FailureComparison : public testing::TestWithParam<FailureRow> {};

TEST_P(FailureComparison, Decides) {
    const auto& row = GetParam();
    const auto verdict =
        judge(comparing(row.in_stage, row.stable, row.candidate), config::Rollout{});
    EXPECT_EQ(verdict.next, row.next) << row.what << ": " << verdict.evidence;
    EXPECT_EQ(verdict.evidence.empty(), row.next == Next::Wait) << row.what;
}

INSTANTIATE_TEST_SUITE_P(
    RolloutPolicy, FailureComparison,
    testing::Values(
        FailureRow{"nothing seen yet", 5s, side(0, 0), side(0, 0), Next::Wait},
        FailureRow{"one of three is no verdict", 5s, side(30, 0), side(3, 1), Next::Wait},
        FailureRow{"four of four are bad luck, for now", 5s, side(40, 0), side(4, 4), Next::Wait},
        FailureRow{"five of five are not", 0s, side(40, 0), side(5, 5), Next::RollBack},
        FailureRow{"a tenth fails where nothing did", 5s, side(900, 0), side(100, 10),
                   Next::RollBack},
        FailureRow{"within the floor", 5s, side(9000, 0), side(1000, 15), Next::Wait},
        FailureRow{"both fail alike", 5s, side(900, 180), side(100, 21), Next::Wait},
        FailureRow{"everything fails on both sides", 5s, side(900, 900), side(100, 100),
                   Next::Wait},
        FailureRow{"twice as bad, within the ratio", 5s, side(900, 90), side(100, 20), Next::Wait},
        FailureRow{"beyond the ratio", 5s, side(900, 90), side(100, 30), Next::RollBack},
        FailureRow{"beyond the ratio by chance", 5s, side(90, 9), side(16, 5), Next::Wait},
        FailureRow{"the old one fails, the new one does not", 30s, side(900, 450), side(100, 1),
                   Next::Promote},
        FailureRow{"all requests are the candidate's, and fail", 5s, side(0, 0), side(10, 10),
                   Next::RollBack},
        FailureRow{"all requests are the candidate's, few fail", 30s, side(0, 0), side(1000, 10),
                   Next::Promote},
        FailureRow{"time is up, nothing speaks against it", 30s, side(900, 3), side(100, 1),
                   Next::Promote},
        FailureRow{"time is up, both fail alike", 30s, side(900, 800), side(100, 90),
                   Next::Promote},
        FailureRow{"time is up, nobody came", 30s, side(0, 0), side(0, 0), Next::Promote},
        FailureRow{"time is up, most of the few failed", 30s, side(30, 0), side(3, 2),
                   Next::RollBack},
        FailureRow{"time is up, one of three failed", 30s, side(30, 0), side(3, 1), Next::Promote},
        FailureRow{"time is up, one of one failed", 30s, side(30, 0), side(1, 1), Next::Promote}));

/// Of `begun` requests, that many wait for their answer, or did until their client gave up.
SideCounts waiting(std::uint64_t begun, std::uint64_t unanswered) {
    SideCounts counts = side(begun - unanswered, 0);
    counts.begun = begun;
    return counts;
}

INSTANTIATE_TEST_SUITE_P(
    Unanswered, FailureComparison,
    testing::Values(
        FailureRow{"it hangs", 10s, waiting(900, 2), waiting(100, 100), Next::RollBack},
        FailureRow{"it hangs, and it is the end", 30s, waiting(30, 0), waiting(3, 3),
                   Next::RollBack},
        FailureRow{"it hangs, and takes all requests", 30s, side(0, 0), waiting(10, 10),
                   Next::RollBack},
        FailureRow{"it hangs for some", 10s, waiting(900, 2), waiting(100, 12), Next::RollBack},
        FailureRow{"it is too early to tell", 9s, waiting(900, 2), waiting(100, 100), Next::Wait},
        FailureRow{"both keep their clients waiting", 10s, waiting(900, 450), waiting(100, 55),
                   Next::Wait},
        FailureRow{"some are always under way", 30s, waiting(900, 8), waiting(100, 1),
                   Next::Promote},
        FailureRow{"some are under way, nothing to compare with", 30s, side(0, 0), waiting(100, 6),
                   Next::Promote}));

TEST(RolloutPolicy, FollowsTheConfiguredRatio) {
    const auto facts = comparing(5s, side(900, 90), side(100, 40));
    EXPECT_EQ(judge(facts, {.max_error_ratio = 2}).next, Next::RollBack);
    EXPECT_EQ(judge(facts, {.max_error_ratio = 5}).next, Next::Wait);
}

TEST(RolloutPolicy, ShowsTheNumbers) {
    const auto verdict = judge(comparing(5s, side(900, 9), side(100, 25)), config::Rollout{});
    EXPECT_EQ(verdict.evidence,
              "it fails more: the new configuration: 25 of 100 requests failed (25%), p90 0.9ms; "
              "the old one: 9 of 900 requests failed (1%), p90 0.9ms");
}

SideCounts beyond_all(std::uint64_t requests) {
    SideCounts counts = side(requests, 0);
    std::swap(counts.latencies.front(), counts.latencies.back());
    return counts;
}

struct LatencyRow {
    const char* what;
    Duration in_stage;
    SideCounts stable;
    SideCounts candidate;
    Next next;
};

class LatencyComparison : public testing::TestWithParam<LatencyRow> {};

TEST_P(LatencyComparison, Decides) {
    const auto& row = GetParam();
    const auto verdict =
        judge(comparing(row.in_stage, row.stable, row.candidate), config::Rollout{});
    EXPECT_EQ(verdict.next, row.next) << row.what << ": " << verdict.evidence;
}

INSTANTIATE_TEST_SUITE_P(
    RolloutPolicy, LatencyComparison,
    testing::Values(LatencyRow{"much slower", 10s, answered_within(25ms, 900),
                               answered_within(250ms, 100), Next::RollBack},
                    LatencyRow{"much slower, while it warms up", 9s, answered_within(25ms, 900),
                               answered_within(250ms, 100), Next::Wait},
                    LatencyRow{"too few answers to tell", 10s, answered_within(25ms, 900),
                               answered_within(250ms, 29), Next::Wait},
                    LatencyRow{"too few to compare with", 10s, answered_within(25ms, 20),
                               answered_within(250ms, 100), Next::Wait},
                    LatencyRow{"a factor of a millisecond is noise", 10s, answered_within(1ms, 900),
                               answered_within(5ms, 100), Next::Wait},
                    LatencyRow{"a millisecond apart, in two buckets", 10s,
                               answered_within(25ms, 900), answered_within(50ms, 900), Next::Wait},
                    LatencyRow{"as slow as the old one, which is beyond all buckets", 10s,
                               beyond_all(900), beyond_all(100), Next::Wait},
                    LatencyRow{"as slow as the old one", 10s, answered_within(250ms, 900),
                               answered_within(250ms, 100), Next::Wait},
                    LatencyRow{"faster", 30s, answered_within(250ms, 900),
                               answered_within(25ms, 100), Next::Promote}));

TEST(RolloutPolicy, SeesASlowTenth) {
    auto candidate = answered_within(5ms, 160);
    candidate.requests += 40;
    candidate.latencies[8] = 40;  // within 500 ms
    const auto verdict =
        judge(comparing(10s, answered_within(5ms, 900), candidate), config::Rollout{});
    EXPECT_EQ(verdict.next, Next::RollBack);
    EXPECT_NE(verdict.evidence.find("p90"), std::string::npos) << verdict.evidence;
}

TEST(RolloutPolicy, WaitsForFirstChecksButNotForEver) {
    RolloutFacts facts;
    EXPECT_EQ(judge(facts, {}).next, Next::Wait);
    facts.dead_pools = {"web"};
    EXPECT_EQ(judge(facts, {}).next, Next::Wait) << "a backend that was not asked is not dead";
    facts.dead_pools.clear();
    facts.checked = true;
    EXPECT_EQ(judge(facts, {}).next, Next::BeginTraffic);
    facts.checked = false;
    facts.in_stage = kLongestChecking;
    EXPECT_EQ(judge(facts, {}).next, Next::BeginTraffic);
}

TEST(RolloutPolicy, ADeadPoolIsEnough) {
    RolloutFacts facts;
    facts.checked = true;
    facts.dead_pools = {"web", "api"};
    for (const auto stage : {RolloutStage::Checking, RolloutStage::Comparing}) {
        facts.stage = stage;
        const auto verdict = judge(facts, {});
        EXPECT_EQ(verdict.next, Next::RollBack);
        EXPECT_EQ(verdict.evidence,
                  "pools web, api have no healthy backend under the new configuration");
    }
}

TEST(SideCounts, InterpolatesWithinABucket) {
    EXPECT_EQ(SideCounts{}.latency(0.5), std::nullopt);
    auto counts = answered_within(10ms, 10);  // between 5 and 10 ms
    EXPECT_EQ(counts.latency(0.5), 7500us);
    EXPECT_EQ(counts.latency(1), 10ms);
    counts.latencies.back() = 90;
    EXPECT_EQ(counts.latency(0.9), metrics::kLatencyBounds.back()) << "at least so long";
    EXPECT_EQ(counts.latency_bounds(0.05)->above, 5ms);
    EXPECT_EQ(counts.latency_bounds(0.05)->at_most, 10ms);
    EXPECT_EQ(counts.latency_bounds(0.9)->at_most, SideCounts::kNoBound);
}

}  // namespace
}  // namespace rproxy::control
