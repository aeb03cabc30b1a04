// least_connections, random, power_of_two and peak_ewma.

#include "unit/balancing/test_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

namespace rproxy::balancing {
namespace {

using namespace std::chrono_literals;
using testing::Each;

double cost(const TestPool& pool, std::uint32_t slot) {
    const auto in_flight = pool.loads[slot].in_flight.load();
    return in_flight == 0 ? 0 : (in_flight + 1.0) / pool.members[slot].weight;
}

double least_cost(const TestPool& pool) {
    double least = 1e300;
    for (std::uint32_t slot = 0; slot < pool.members.size(); ++slot) {
        if (pool.members[slot].eligible && !pool.excluded.contains(slot)) {
            least = std::min(least, cost(pool, slot));
        }
    }
    return least;
}

class LeastConnections : public testing::TestWithParam<std::size_t> {};

TEST_P(LeastConnections, AlwaysFindsTheExactMinimum) {
    TestPool pool(GetParam());
    for (Member& member : pool.members) {
        member.weight = 1 + pool.rng.below(GetParam() % 2 == 0 ? 1 : 9);
        member.eligible = pool.rng.below(10) > 0;
    }
    const auto policy = pool.build(Method::LeastConnections);
    for (int i = 0; i < 20'000; ++i) {
        pool.excluded.clear();
        for (std::uint32_t j = pool.rng.below(8); j > 5; --j) {
            pool.excluded.add(pool.rng.below(static_cast<std::uint32_t>(GetParam())));
        }
        const auto slot = pool.pick(*policy);
        if (!slot) {
            ASSERT_LT(policy->eligible(), 4U);
            continue;
        }
        ASSERT_DOUBLE_EQ(cost(pool, *slot), least_cost(pool));
        pool.set_in_flight(*policy, *slot, pool.loads[*slot].in_flight + 1);
        const std::uint32_t done = pool.rng.below(static_cast<std::uint32_t>(GetParam()));
        if (pool.loads[done].in_flight > 0 && pool.rng.below(4) > 0) {
            pool.set_in_flight(*policy, done, pool.loads[done].in_flight - 1);
        }
    }
}

TEST_P(LeastConnections, GoesRoundAmongEqualsEvenly) {
    TestPool pool(GetParam());
    const auto policy = pool.build(Method::LeastConnections);
    // Every second member is busy, and the equals are not neighbours of equal gaps.
    std::vector<std::uint32_t> idle;
    for (std::uint32_t slot = 0; slot < GetParam(); ++slot) {
        const bool busy = slot % 2 == 1 || slot % 5 == 0;
        pool.set_in_flight(*policy, slot, busy ? 3 : 0);
        if (!busy) {
            idle.push_back(slot);
        }
    }
    const auto counts = pool.counts(*policy, static_cast<int>(idle.size()) * 6);
    for (std::uint32_t slot = 0; slot < GetParam(); ++slot) {
        EXPECT_EQ(counts[slot], std::ranges::count(idle, slot) * 6) << slot;
    }
}

TEST_P(LeastConnections, SpreadsAnIdlePoolByWeight) {
    std::vector<std::uint32_t> weights(GetParam());
    for (std::size_t i = 0; i < weights.size(); ++i) {
        weights[i] = 1 + static_cast<std::uint32_t>(i % 3);
    }
    TestPool pool(weights);
    const auto policy = pool.build(Method::LeastConnections);
    constexpr int kPicksEach = 300;
    const auto total = std::accumulate(weights.begin(), weights.end(), std::uint32_t{0});
    const auto counts = pool.counts(*policy, static_cast<int>(total) * kPicksEach);
    for (std::uint32_t slot = 0; slot < GetParam(); ++slot) {
        const double expected = kPicksEach * static_cast<double>(weights[slot]);
        EXPECT_NEAR(counts[slot], expected, expected * 0.03) << slot;
    }
}

TEST_P(LeastConnections, TakesTheIdleBeforeTheHeavyAndBusy) {
    TestPool pool(GetParam());
    pool.members[0].weight = 100;
    const auto policy = pool.build(Method::LeastConnections);
    pool.set_in_flight(*policy, 0, 1);
    EXPECT_NE(pool.pick(*policy), 0U);
    for (std::uint32_t slot = 1; slot < GetParam(); ++slot) {
        pool.set_in_flight(*policy, slot, 1);
    }
    EXPECT_EQ(pool.pick(*policy), 0U);
}

INSTANTIATE_TEST_SUITE_P(Sizes, LeastConnections,
                         testing::Values(3, 10, 31, 32, 33, 64, 65, 100, 1000));

TEST(LeastConnections, FillsByWeight) {
    TestPool pool({1, 2, 3});
    const auto policy = pool.build(Method::LeastConnections);
    for (int i = 0; i < 60; ++i) {
        const auto slot = pool.pick(*policy);
        pool.set_in_flight(*policy, *slot, pool.loads[*slot].in_flight + 1);
    }
    EXPECT_EQ(pool.loads[0].in_flight, 10U);
    EXPECT_EQ(pool.loads[1].in_flight, 20U);
    EXPECT_EQ(pool.loads[2].in_flight, 30U);
}

TEST(LeastConnections, MendsWhatChangedUnnoticed) {
    // Requests that finish while a new policy is being built are told to the old one only.
    TestPool pool(100);
    for (Load& load : pool.loads) {
        load.in_flight = 5;
    }
    const auto policy = pool.build(Method::LeastConnections);
    pool.loads[77].in_flight = 0;
    std::vector<int> counts(100, 0);
    for (int i = 0; i < 300; ++i) {
        ++counts[*pool.pick(*policy)];
    }
    EXPECT_GT(counts[77], 0);
    EXPECT_EQ(pool.pick(*policy), 77U);
}

/// Workers that pick, count and finish at once; what the counts and the policy say afterwards must
/// agree. Run under ThreadSanitizer too.
void hammer(Method method, std::size_t size) {
    TestPool pool(size);
    const auto policy = pool.build(method);
    constexpr std::uint64_t kWorkers = 4;
    std::vector<std::thread> workers;
    workers.reserve(kWorkers);
    std::atomic<int> failures{0};
    for (std::uint64_t worker = 0; worker < kWorkers; ++worker) {
        workers.emplace_back([&, worker] {
            XoshiroRng rng(worker);
            const Excluded nobody;
            std::vector<std::uint32_t> open;
            for (int i = 0; i < 5000; ++i) {
                const auto slot =
                    policy->pick({.hash = rng.next(), .now = {}, .rng = rng, .excluded = nobody});
                if (!slot || *slot >= size) {
                    ++failures;
                    continue;
                }
                pool.loads[*slot].in_flight.fetch_add(1, std::memory_order_relaxed);
                policy->load_changed(*slot);
                open.push_back(*slot);
                if (open.size() > 20) {
                    std::swap(open.back(),
                              open[rng.below(static_cast<std::uint32_t>(open.size()))]);
                    pool.loads[open.back()].in_flight.fetch_sub(1, std::memory_order_relaxed);
                    policy->load_changed(open.back());
                    open.pop_back();
                }
            }
            for (const std::uint32_t slot : open) {
                pool.loads[slot].in_flight.fetch_sub(1, std::memory_order_relaxed);
                policy->load_changed(slot);
            }
        });
    }
    for (std::thread& worker : workers) {
        worker.join();
    }
    EXPECT_EQ(failures, 0);
    if (method == Method::LeastConnections) {
        // After one round of verification no trace of any race is left.
        pool.counts(*policy, static_cast<int>(4 * size));
        const auto counts = pool.counts(*policy, static_cast<int>(2 * size));
        EXPECT_THAT(counts, Each(2));
    } else {
        // The total is back at nothing, so one hot key is bounded as in a new policy.
        for (std::size_t i = 0; i < 10 * size; ++i) {
            const auto slot = pool.pick(*policy, 42);
            pool.set_in_flight(*policy, *slot, pool.loads[*slot].in_flight + 1);
        }
        for (const Load& load : pool.loads) {
            EXPECT_LE(load.in_flight, 14U);
        }
    }
}

TEST(LeastConnections, SurvivesRacingWorkersWithFewMembers) {
    hammer(Method::LeastConnections, 8);
}
TEST(LeastConnections, SurvivesRacingWorkersWithManyMembers) {
    hammer(Method::LeastConnections, 200);
}
TEST(ConsistentHash, SurvivesRacingWorkers) {
    hammer(Method::ConsistentHash, 50);
}

TEST(Random, FollowsTheWeights) {
    TestPool pool({1, 2, 0, 7});
    const auto policy = pool.build(Method::Random);
    const auto counts = pool.counts(*policy, 100'000);
    // Six standard deviations at most: sqrt(100000 * 0.2 * 0.8) is 126.
    EXPECT_NEAR(counts[0], 10'000, 600);
    EXPECT_NEAR(counts[1], 20'000, 760);
    EXPECT_EQ(counts[2], 0);
    EXPECT_NEAR(counts[3], 70'000, 870);
}

TEST(Random, FollowsTheWeightsOfThoseLeft) {
    TestPool pool({1, 2, 5, 7});
    const auto policy = pool.build(Method::Random);
    ASSERT_TRUE(pool.excluded.add(3));
    ASSERT_TRUE(pool.excluded.add(0));
    const auto counts = pool.counts(*policy, 70'000);
    EXPECT_EQ(counts[0], 0);
    EXPECT_NEAR(counts[1], 20'000, 720);
    EXPECT_NEAR(counts[2], 50'000, 720);
    EXPECT_EQ(counts[3], 0);
}

TEST(Random, IsEvenOverManyEqualMembers) {
    TestPool pool(1000);
    const auto policy = pool.build(Method::Random);
    const auto counts = pool.counts(*policy, 1'000'000);
    EXPECT_GT(*std::ranges::min_element(counts), 1000 - 190);
    EXPECT_LT(*std::ranges::max_element(counts), 1000 + 190);
}

TEST(PowerOfTwo, TakesTheLessLoadedOfTwoMembers) {
    TestPool pool(2);
    const auto policy = pool.build(Method::PowerOfTwo);
    pool.loads[0].in_flight = 4;
    pool.loads[1].in_flight = 3;
    EXPECT_EQ(pool.letters(*policy, 50), std::string(50, 'b'));
}

TEST(PowerOfTwo, MeasuresLoadByWeight) {
    TestPool pool({1, 4});
    const auto policy = pool.build(Method::PowerOfTwo);
    pool.loads[0].in_flight = 1;   // 2/1
    pool.loads[1].in_flight = 10;  // 11/4
    EXPECT_EQ(pool.letters(*policy, 50), std::string(50, 'a'));
}

TEST(PowerOfTwo, SpreadsAnIdlePoolByWeight) {
    TestPool pool({5, 1});
    const auto counts = pool.counts(*pool.build(Method::PowerOfTwo), 6000);
    EXPECT_NEAR(counts[1], 1000, 120);
}

TEST(PowerOfTwo, NeverTakesTheMostLoaded) {
    TestPool pool(5);
    const auto policy = pool.build(Method::PowerOfTwo);
    pool.loads[3].in_flight = 1;
    const auto counts = pool.counts(*policy, 10'000);
    EXPECT_EQ(counts[3], 0);
    EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), 0), 10'000);
}

TEST(PowerOfTwo, KeepsTheMaximumLowWhereRandomDoesNot) {
    // Azar et al.: n balls into n bins, ln n / ln ln n against ln ln n / ln 2 + O(1).
    constexpr int kBins = 100'000;
    const auto fullest = [](Method method) {
        TestPool pool(kBins);
        const auto policy = pool.build(method);
        std::uint32_t most = 0;
        for (int ball = 0; ball < kBins; ++ball) {
            most = std::max(most, ++pool.loads[*pool.pick(*policy)].in_flight);
        }
        return most;
    };
    EXPECT_GE(fullest(Method::Random), 6U);
    EXPECT_LE(fullest(Method::PowerOfTwo), 4U);
}

TEST(PeakEwma, TakesTheFastest) {
    TestPool pool(3);
    const auto policy = pool.build(Method::PeakEwma);
    observe_latency(pool.loads[0], 10ms, pool.now);
    observe_latency(pool.loads[1], 5ms, pool.now);
    observe_latency(pool.loads[2], 20ms, pool.now);
    EXPECT_EQ(pool.letters(*policy, 6), "bbbbbb");
}

TEST(PeakEwma, WeighsLatencyByLoadAndWeight) {
    TestPool pool({1, 1, 4});
    const auto policy = pool.build(Method::PeakEwma);
    observe_latency(pool.loads[0], 10ms, pool.now);  // 10 * 2 / 1 = 20
    observe_latency(pool.loads[1], 5ms, pool.now);   //  5 * 5 / 1 = 25
    observe_latency(pool.loads[2], 20ms, pool.now);  // 20 * 3 / 4 = 15
    pool.loads[0].in_flight = 1;
    pool.loads[1].in_flight = 4;
    pool.loads[2].in_flight = 2;
    EXPECT_EQ(pool.letters(*policy, 3), "ccc");
}

TEST(PeakEwma, GivesAnUnseenMemberOneRequestAndNotAFlood) {
    TestPool pool(3);
    const auto policy = pool.build(Method::PeakEwma);
    observe_latency(pool.loads[0], 10ms, pool.now);
    observe_latency(pool.loads[1], 10ms, pool.now);
    ASSERT_EQ(pool.pick(*policy), 2U);
    pool.loads[2].in_flight = 1;
    for (int i = 0; i < 50; ++i) {
        const auto slot = pool.pick(*policy);
        ASSERT_NE(slot, 2U);
        ++pool.loads[*slot].in_flight;
    }
}

TEST(PeakEwma, DoesNotStarveAMemberWhoseFirstRequestNeverEnds) {
    TestPool pool(2);
    const auto policy = pool.build(Method::PeakEwma);
    observe_latency(pool.loads[0], 100ms, pool.now);
    pool.loads[0].in_flight = 20;
    pool.loads[1].in_flight = 1;
    EXPECT_EQ(pool.pick(*policy), 1U);
}

TEST(PeakEwma, StartsAnUnseenPoolEvenly) {
    for (const std::size_t size : {4U, 40U}) {
        TestPool pool(size);
        const auto policy = pool.build(Method::PeakEwma);
        for (std::size_t i = 0; i < size * 10; ++i) {
            ++pool.loads[*pool.pick(*policy)].in_flight;
        }
        for (const Load& load : pool.loads) {
            EXPECT_GE(load.in_flight, 7U);
            EXPECT_LE(load.in_flight, 13U);
        }
    }
}

TEST(PeakEwma, ComparesTwoOfManyByCost) {
    TestPool pool(100);
    const auto policy = pool.build(Method::PeakEwma);
    for (std::size_t slot = 0; slot < 100; ++slot) {
        observe_latency(pool.loads[slot], slot == 7 ? 2s : 10ms, pool.now);
    }
    const auto counts = pool.counts(*policy, 20'000);
    EXPECT_EQ(counts[7], 0);
    EXPECT_GT(*std::ranges::min_element(counts.begin() + 8, counts.end()), 100);
}

TEST(PeakEwma, ForgivesWithTime) {
    TestPool pool(2);
    const auto policy = pool.build(Method::PeakEwma);
    observe_latency(pool.loads[0], 100ms, pool.now);
    observe_latency(pool.loads[1], 2s, pool.now);
    EXPECT_EQ(pool.pick(*policy), 0U);
    pool.now += 60s;
    observe_latency(pool.loads[0], 100ms, pool.now);
    EXPECT_EQ(pool.pick(*policy), 1U);
}

TEST(ObserveLatency, JumpsUpAtOnceAndComesDownSlowly) {
    Load load;
    MonotonicTime now{1h};
    observe_latency(load, 10ms, now);
    EXPECT_EQ(load.ewma_ns, 10'000'000U);
    observe_latency(load, 500ms, now += 1ms);
    EXPECT_EQ(load.ewma_ns, 500'000'000U);
    observe_latency(load, 10ms, now += 1ms);
    EXPECT_GT(load.ewma_ns, 499'000'000U);
    for (int i = 0; i < 100; ++i) {
        observe_latency(load, 10ms, now += 1s);
    }
    EXPECT_NEAR(static_cast<double>(load.ewma_ns), 10e6, 0.1e6);
}

TEST(ObserveFailure, RaisesTheEstimateAndNeverLowersIt) {
    Load load;
    MonotonicTime now{1h};
    observe_failure(load, 2s, now);
    EXPECT_EQ(load.ewma_ns, 2'000'000'000U) << "who never answers is not unseen";
    observe_failure(load, 1ms, now += 1ms);
    EXPECT_EQ(load.ewma_ns, 2'000'000'000U);
    observe_failure(load, 3s, now += 1ms);
    EXPECT_EQ(load.ewma_ns, 3'000'000'000U);
    observe_failure(load, 1s, now += 60s);
    EXPECT_EQ(load.ewma_ns, 1'000'000'000U) << "what was seen has faded below that";
}

TEST(ObserveLatency, FollowsTheExponentialWithinAHundredth) {
    for (const auto age : {1s, 5s, 10s, 20s, 40s}) {
        Load load;
        observe_latency(load, 1s, MonotonicTime{1h});
        observe_latency(load, 1ns, MonotonicTime{1h} + age);
        const double expected = std::exp(-std::chrono::duration<double>(age).count() / 10);
        EXPECT_NEAR(static_cast<double>(load.ewma_ns) * 1e-9, expected, 0.01) << age.count();
    }
}

TEST(ObserveLatency, TakesAClockThatRunsBehindForTheSameMoment) {
    Load load;
    observe_latency(load, 20ms, MonotonicTime{1h});
    observe_latency(load, 10ms, MonotonicTime{1h} - 5s);
    EXPECT_EQ(load.ewma_ns, 20'000'000U);
    EXPECT_EQ(load.ewma_at_ns, std::chrono::nanoseconds(1h).count());
}

TEST(ObserveLatency, CountsAnInstantAnswerAsSeen) {
    Load load;
    observe_latency(load, 0ns, MonotonicTime{1h});
    EXPECT_GT(load.ewma_ns, 0U);
}

}  // namespace
}  // namespace rproxy::balancing
