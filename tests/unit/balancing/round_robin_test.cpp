#include "balancing/smooth_schedule.h"
#include "unit/balancing/test_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

namespace rproxy::balancing {
namespace {

using testing::Each;
using testing::ElementsAre;

std::string round_of(const std::vector<std::uint32_t>& weights) {
    std::string result;
    for (const std::uint32_t index : smooth_schedule(weights)) {
        result.push_back(static_cast<char>('a' + index));
    }
    return result;
}

/// nginx's own loop over the members, step by step: the model for the order.
std::vector<std::uint32_t> nginx_round(const std::vector<std::uint32_t>& weights) {
    std::vector<std::int64_t> current(weights.size(), 0);
    const auto total = std::accumulate(weights.begin(), weights.end(), std::int64_t{0});
    std::vector<std::uint32_t> result;
    for (std::int64_t step = 0; step < total; ++step) {
        std::size_t best = 0;
        for (std::size_t i = 0; i < weights.size(); ++i) {
            current[i] += weights[i];
            if (current[i] > current[best]) {
                best = i;
            }
        }
        current[best] -= total;
        result.push_back(static_cast<std::uint32_t>(best));
    }
    return result;
}

TEST(SmoothSchedule, GivesNginxsOrder) {
    EXPECT_EQ(round_of({5, 1, 1}), "aabacaa");  // The example in nginx's commit 52327e0627f4.
    EXPECT_EQ(round_of({1, 1, 1}), "abc");
    EXPECT_EQ(round_of({1, 2}), "bab");
    EXPECT_EQ(round_of({4, 2}), "aba");
    EXPECT_EQ(round_of({7}), "a");
}

TEST(SmoothSchedule, EqualsNginxForRandomWeights) {
    XoshiroRng rng(1);
    for (int repeat = 0; repeat < 200; ++repeat) {
        std::vector<std::uint32_t> weights{1};  // Keeps the divisor at 1, as nginx does not reduce.
        const std::uint32_t size = 1 + rng.below(12);
        const std::uint32_t most = 1 + rng.below(30);
        for (std::uint32_t i = 0; i < size; ++i) {
            weights.push_back(1 + rng.below(most));
        }
        ASSERT_EQ(smooth_schedule(weights), nginx_round(weights));
    }
}

TEST(SmoothSchedule, ScalesWhatIsTooLong) {
    const auto round = smooth_schedule(std::vector<std::uint32_t>{1'000'000, 500'000, 1}, 300);
    std::vector<int> counts(3, 0);
    for (const std::uint32_t index : round) {
        ++counts[index];
    }
    EXPECT_THAT(counts, ElementsAre(200, 100, 1));
}

TEST(SmoothSchedule, IsQuickAtItsLargest) {
    std::vector<std::uint32_t> weights;
    for (std::uint32_t i = 0; i < 10'000; ++i) {
        weights.push_back(1 + (i % 1000));
    }
    const auto round = smooth_schedule(weights);
    EXPECT_GT(round.size(), 60'000U);
    EXPECT_LT(round.size(), 76'000U);
}

TEST(RoundRobin, GoesRoundExactly) {
    TestPool pool(3);
    const auto policy = pool.build(Method::RoundRobin);
    EXPECT_EQ(pool.letters(*policy, 10), "abcabcabca");
}

TEST(RoundRobin, SpreadsWeightsSmoothly) {
    TestPool pool({5, 1, 1});
    const auto policy = pool.build(Method::RoundRobin);
    EXPECT_EQ(pool.letters(*policy, 14), "aabacaaaabacaa");
}

TEST(RoundRobin, StartsWhereTheCursorStands) {
    TestPool pool(3);
    pool.cursor = 100;
    const auto policy = pool.build(Method::RoundRobin);
    EXPECT_EQ(pool.letters(*policy, 4), "bcab");
}

TEST(RoundRobin, GoesOnAfterARebuild) {
    TestPool pool(3);
    const auto first = pool.build(Method::RoundRobin);
    EXPECT_EQ(pool.letters(*first, 4), "abca");
    const auto second = pool.build(Method::RoundRobin);
    EXPECT_EQ(pool.letters(*second, 4), "bcab");
    EXPECT_EQ(pool.letters(*first, 2), "ca");
}

TEST(RoundRobin, LeavesOutTheIneligibleWithoutSkew) {
    TestPool pool(4);
    pool.members[1].eligible = false;
    const auto policy = pool.build(Method::RoundRobin);
    EXPECT_EQ(pool.letters(*policy, 6), "acdacd");
}

TEST(RoundRobin, SpreadsTheTurnsOfTheExcluded) {
    TestPool pool(4);
    const auto policy = pool.build(Method::RoundRobin);
    ASSERT_TRUE(pool.excluded.add(1));
    EXPECT_THAT(pool.counts(*policy, 3000), ElementsAre(1000, 0, 1000, 1000));
}

TEST(RoundRobin, SpreadsARetriedRequestsTurnsEvenly) {
    // Each request first meets whoever is next; those that meet b fail there and try again.
    TestPool pool(4);
    const auto policy = pool.build(Method::RoundRobin);
    std::vector<int> counts(4, 0);
    for (int i = 0; i < 3000; ++i) {
        pool.excluded.clear();
        auto slot = pool.pick(*policy);
        if (*slot == 1) {
            ASSERT_TRUE(pool.excluded.add(1));
            slot = pool.pick(*policy);
        }
        ++counts[*slot];
    }
    EXPECT_THAT(counts, ElementsAre(1000, 0, 1000, 1000));
}

TEST(RoundRobin, KeepsWeightsWhenAHeavyMemberIsExcluded) {
    TestPool pool({1000, 2, 1});
    const auto policy = pool.build(Method::RoundRobin);
    ASSERT_TRUE(pool.excluded.add(0));
    const auto counts = pool.counts(*policy, 30'000);
    EXPECT_EQ(counts[0], 0);
    EXPECT_NEAR(counts[1], 20'000, 500);
    EXPECT_NEAR(counts[2], 10'000, 500);
}

TEST(RoundRobin, GoesRoundExactlyOverAllThreads) {
    TestPool pool(5);
    const auto policy = pool.build(Method::RoundRobin);
    constexpr int kThreads = 4;
    constexpr int kPicks = 5000;
    std::vector<std::vector<int>> counts(kThreads, std::vector<int>(5, 0));
    std::vector<std::thread> threads;
    for (int thread = 0; thread < kThreads; ++thread) {
        threads.emplace_back([&policy, &mine = counts[static_cast<std::size_t>(thread)], thread] {
            XoshiroRng rng(static_cast<std::uint64_t>(thread));
            const Excluded nobody;
            for (int i = 0; i < kPicks; ++i) {
                ++mine[*policy->pick({.hash = 0, .now = {}, .rng = rng, .excluded = nobody})];
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    std::vector<int> sums(5, 0);
    for (const auto& one : counts) {
        std::ranges::transform(sums, one, sums.begin(), std::plus<>());
    }
    EXPECT_THAT(sums, Each(kThreads * kPicks / 5));
}

}  // namespace
}  // namespace rproxy::balancing
