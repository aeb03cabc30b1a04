// What a method says of a choice is what it then does, and saying it does nothing.

#include "unit/balancing/test_pool.h"

#include <gtest/gtest.h>

#include <memory>
#include <numeric>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace rproxy::balancing {
namespace {

Explanation ask(TestPool& pool, const Policy& policy, std::uint64_t hash = 0) {
    return policy.explain({hash, pool.now, pool.excluded});
}

const Standing& standing_of(const Explanation& explanation, std::uint32_t slot) {
    for (const Standing& standing : explanation.ranked) {
        if (standing.slot == slot) {
            return standing;
        }
    }
    ADD_FAILURE() << "no standing for slot " << slot;
    return explanation.ranked.front();
}

double total_chance(const Explanation& explanation) {
    return std::accumulate(
        explanation.ranked.begin(), explanation.ranked.end(), 0.0,
        [](double sum, const Standing& standing) { return sum + standing.chance; });
}

class Explained : public testing::TestWithParam<std::tuple<Method, std::size_t>> {
protected:
    /// Members of uneven weight and load, a third of them away.
    Explained() : pool(size()) {
        for (std::uint32_t slot = 0; slot < size(); ++slot) {
            Member& member = pool.members[slot];
            member.eligible = slot % 3 != 1;
            member.weight = 1 + (slot % 4);
            member.load->in_flight = (slot * 7) % 5;
            member.load->ewma_ns = 1'000'000 + (slot * 37'000);
        }
        policy = pool.build(method());
    }
    static Method method() { return std::get<0>(GetParam()); }
    static std::size_t size() { return std::get<1>(GetParam()); }

    TestPool pool;
    std::unique_ptr<const Policy> policy;
};

TEST_P(Explained, IsWhatIsPickedNext) {
    for (int i = 0; i < 300; ++i) {
        const std::uint64_t hash = pool.rng.next();
        if (i == 100) {
            ASSERT_TRUE(pool.excluded.add(0));
            ASSERT_TRUE(pool.excluded.add(2));
        }
        const Explanation explanation = ask(pool, *policy, hash);
        ASSERT_NEAR(total_chance(explanation), 1, 1e-9);
        const auto picked = pool.pick(*policy, hash);
        ASSERT_TRUE(picked);
        EXPECT_GT(standing_of(explanation, *picked).chance, 0);
        if (const auto certain = explanation.certain()) {
            EXPECT_EQ(picked, certain);
        }
    }
}

TEST_P(Explained, ChangesNothing) {
    const auto before = pool.cursor.load();
    const Explanation first = ask(pool, *policy, 99);
    const Explanation second = ask(pool, *policy, 99);
    EXPECT_EQ(pool.cursor.load(), before);
    ASSERT_EQ(first.ranked.size(), second.ranked.size());
    for (std::size_t i = 0; i < first.ranked.size(); ++i) {
        EXPECT_EQ(first.ranked[i].slot, second.ranked[i].slot);
        EXPECT_EQ(first.ranked[i].score, second.ranked[i].score);
        EXPECT_EQ(first.ranked[i].chance, second.ranked[i].chance);
    }
}

TEST_P(Explained, GivesNobodyAChanceWhoIsNotOfferedOrExcluded) {
    ASSERT_TRUE(pool.excluded.add(0));
    for (const Standing& standing : ask(pool, *policy, 5).ranked) {
        if (standing.slot == 0 || !policy->offers(standing.slot)) {
            EXPECT_EQ(standing.chance, 0) << standing.slot;
        }
    }
}

TEST_P(Explained, HasAStandingForEachMemberThatIsOffered) {
    const Explanation explanation = ask(pool, *policy, 5);
    EXPECT_FALSE(explanation.measure.empty());
    EXPECT_FALSE(explanation.decided_by.empty());
    std::size_t offered = 0;
    for (std::size_t i = 0; i < explanation.ranked.size(); ++i) {
        offered += policy->offers(explanation.ranked[i].slot) ? 1 : 0;
        EXPECT_TRUE(i == 0 || explanation.ranked[i - 1].slot < explanation.ranked[i].slot);
    }
    EXPECT_EQ(offered, policy->eligible());
}

INSTANTIATE_TEST_SUITE_P(Methods, Explained,
                         testing::Combine(testing::ValuesIn(kAllMethods),
                                          testing::Values(4, 12, 40, 200)),
                         [](const auto& instance) {
                             return std::string(to_string(std::get<0>(instance.param))) + "_" +
                                    std::to_string(std::get<1>(instance.param));
                         });

TEST(Explain, SaysNobodyOfAnEmptyPool) {
    for (const Method method : kAllMethods) {
        TestPool pool(2);
        pool.members[0].eligible = pool.members[1].eligible = false;
        const auto policy = pool.build(method);
        const Explanation explanation = ask(pool, *policy);
        EXPECT_EQ(explanation.certain(), std::nullopt) << to_string(method);
        EXPECT_EQ(total_chance(explanation), 0) << to_string(method);
    }
}

TEST(Explain, TellsRoundRobinsTurns) {
    TestPool pool(3);
    const auto policy = pool.build(Method::RoundRobin);
    const std::uint32_t first = *pool.pick(*policy);
    const Explanation explanation = ask(pool, *policy);
    EXPECT_EQ(standing_of(explanation, (first + 1) % 3).score, 0);
    EXPECT_EQ(standing_of(explanation, (first + 2) % 3).score, 1);
    EXPECT_EQ(standing_of(explanation, first).score, 2);
}

TEST(Explain, TellsLeastConnectionsLoads) {
    TestPool pool(2);
    pool.members[1].weight = 2;
    const auto policy = pool.build(Method::LeastConnections);
    pool.set_in_flight(*policy, 0, 4);
    pool.set_in_flight(*policy, 1, 6);
    const Explanation explanation = ask(pool, *policy);
    EXPECT_EQ(standing_of(explanation, 0).score, 5);
    EXPECT_EQ(standing_of(explanation, 1).score, 3.5);
    EXPECT_EQ(explanation.certain(), 1U);
    EXPECT_EQ(explanation.decided_by, "score");
}

TEST(Explain, TellsTheChancesOfTwoAsTheyFallOut) {
    TestPool pool(4);
    for (std::uint32_t slot = 0; slot < 4; ++slot) {
        pool.members[slot].weight = 1 + slot;
        pool.members[slot].load->in_flight = slot == 3 ? 40 : slot;
    }
    const auto policy = pool.build(Method::PowerOfTwo);
    const Explanation explanation = ask(pool, *policy);
    constexpr int kPicks = 200'000;
    std::vector<int> counts(4);
    for (int i = 0; i < kPicks; ++i) {
        ++counts[*pool.pick(*policy)];
    }
    for (std::uint32_t slot = 0; slot < 4; ++slot) {
        EXPECT_NEAR(standing_of(explanation, slot).chance,
                    static_cast<double>(counts[slot]) / kPicks, 0.01);
    }
}

TEST(Explain, IsSureOfTheLessLoadedOfTwo) {
    TestPool pool(2);
    pool.members[0].weight = 7;
    pool.members[0].load->in_flight = 100;
    const auto policy = pool.build(Method::PowerOfTwo);
    EXPECT_EQ(ask(pool, *policy).certain(), 1U);
}

TEST(Explain, ShowsAHashesHomeThatIsAway) {
    for (const Method method : {Method::IpHash, Method::ConsistentHash}) {
        TestPool pool(5);
        const std::uint32_t home = *pool.pick(*pool.build(method), 1234);
        pool.members[home].eligible = false;
        const auto policy = pool.build(method);
        const Explanation explanation = ask(pool, *policy, 1234);
        EXPECT_EQ(standing_of(explanation, home).score, 0) << to_string(method);
        EXPECT_NE(explanation.certain(), home) << to_string(method);
    }
}

TEST(Explain, ShowsWhomConsistentHashPassesOverForBeingFull) {
    TestPool pool(4);
    const auto policy = pool.build(Method::ConsistentHash);
    const std::uint32_t home = *pool.pick(*policy, 77);
    pool.set_in_flight(*policy, home, 50);
    const Explanation explanation = ask(pool, *policy, 77);
    EXPECT_EQ(standing_of(explanation, home).note, "above 5/4 of its fair share");
    EXPECT_NE(explanation.certain(), home);
    EXPECT_EQ(explanation.certain(), pool.pick(*policy, 77));
}

TEST(Explain, TurnsToTheReserveWhenNobodyElseIsLeft) {
    TestPool pool(3);
    pool.members[2].eligible = false;
    auto first = pool.build(Method::LeastConnections);
    pool.members[0].eligible = pool.members[1].eligible = false;
    pool.members[2].eligible = true;
    const auto policy = make_with_reserve(std::move(first), pool.build(Method::LeastConnections));
    const Explanation usual = ask(pool, *policy);
    EXPECT_EQ(standing_of(usual, 2).chance, 0);
    EXPECT_EQ(standing_of(usual, 2).note, "in reserve for when nobody else is left");
    EXPECT_EQ(usual.certain(), pool.pick(*policy));
    ASSERT_TRUE(pool.excluded.add(0));
    ASSERT_TRUE(pool.excluded.add(1));
    EXPECT_EQ(ask(pool, *policy).certain(), 2U);
    EXPECT_EQ(pool.pick(*policy), 2U);
}

TEST(Explain, SaysThatAnIntervalsChoiceHolds) {
    TestPool pool(3);
    const auto policy = make_pinned(1, pool.build(Method::RoundRobin));
    EXPECT_EQ(ask(pool, *policy).certain(), 1U);
    EXPECT_EQ(ask(pool, *policy).decided_by, "interval");
    ASSERT_TRUE(pool.excluded.add(1));
    EXPECT_EQ(ask(pool, *policy).decided_by, "turn");
}

}  // namespace
}  // namespace rproxy::balancing
