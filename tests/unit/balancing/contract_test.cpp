// What every method promises, at sizes on both sides of each method's internal thresholds.

#include "unit/balancing/test_pool.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <tuple>

namespace rproxy::balancing {
namespace {

class Contract : public testing::TestWithParam<std::tuple<Method, std::size_t>> {
protected:
    Method method() const { return std::get<0>(GetParam()); }
    std::size_t size() const { return std::get<1>(GetParam()); }
};

TEST_P(Contract, PicksOnlyWhatIsOffered) {
    TestPool pool(size());
    for (std::size_t slot = 0; slot < size(); slot += 3) {
        pool.members[slot].eligible = false;
    }
    for (std::size_t slot = 1; slot < size(); slot += 3) {
        pool.members[slot].weight = 1 + (static_cast<std::uint32_t>(slot) % 4);
    }
    pool.members[size() - 1].eligible = true;
    pool.members[size() - 1].weight = 0;
    const auto policy = pool.build(method());
    std::size_t offered = 0;
    for (std::uint32_t slot = 0; slot < size(); ++slot) {
        const Member& member = pool.members[slot];
        const bool expected = member.eligible && member.weight > 0;
        EXPECT_EQ(policy->offers(slot), expected);
        offered += expected ? 1 : 0;
    }
    EXPECT_EQ(policy->eligible(), offered);
    EXPECT_FALSE(policy->offers(static_cast<std::uint32_t>(size())));
    EXPECT_EQ(policy->has_other_than({}), offered > 0);
    for (int i = 0; i < 2000; ++i) {
        const auto slot = pool.pick(*policy, pool.rng.next());
        ASSERT_TRUE(slot);
        ASSERT_TRUE(policy->offers(*slot));
    }
}

TEST_P(Contract, WalksThroughAllMembersAsEachIsExcluded) {
    TestPool pool(size());
    const auto policy = pool.build(method());
    for (int repeat = 0; repeat < 50; ++repeat) {
        pool.excluded.clear();
        const std::uint64_t hash = pool.rng.next();
        for (std::size_t tried = 0; tried < std::min(size(), Excluded::kCapacity); ++tried) {
            EXPECT_TRUE(policy->has_other_than(pool.excluded));
            const auto slot = pool.pick(*policy, hash);
            ASSERT_TRUE(slot);
            ASSERT_FALSE(pool.excluded.contains(*slot));
            ASSERT_TRUE(pool.excluded.add(*slot));
        }
        if (size() <= Excluded::kCapacity) {
            EXPECT_EQ(pool.pick(*policy, hash), std::nullopt);
            EXPECT_FALSE(policy->has_other_than(pool.excluded));
        }
    }
}

TEST_P(Contract, FindsTheOnlyOneLeft) {
    TestPool pool(size());
    for (Member& member : pool.members) {
        member.eligible = false;
    }
    const auto last = static_cast<std::uint32_t>(size() - 1);
    pool.members[last].eligible = true;
    const auto policy = pool.build(method());
    for (int i = 0; i < 100; ++i) {
        EXPECT_EQ(pool.pick(*policy, pool.rng.next()), last);
    }
    ASSERT_TRUE(pool.excluded.add(last));
    EXPECT_EQ(pool.pick(*policy, 1), std::nullopt);
}

TEST_P(Contract, PicksNothingFromNobody) {
    TestPool pool(size());
    for (Member& member : pool.members) {
        member.eligible = false;
    }
    const auto policy = pool.build(method());
    EXPECT_EQ(policy->eligible(), 0U);
    EXPECT_EQ(pool.pick(*policy, 7), std::nullopt);
}

TEST_P(Contract, IgnoresAnExclusionOfSomebodyNotOffered) {
    TestPool pool(size());
    pool.members[0].eligible = false;
    const auto policy = pool.build(method());
    ASSERT_TRUE(pool.excluded.add(0));
    ASSERT_TRUE(pool.excluded.add(1));
    ASSERT_TRUE(pool.excluded.add(1));
    ASSERT_TRUE(pool.excluded.add(4'000'000));
    for (int i = 0; i < 100; ++i) {
        const auto slot = pool.pick(*policy, pool.rng.next());
        ASSERT_TRUE(slot);
        EXPECT_GT(*slot, 1U);
    }
}

INSTANTIATE_TEST_SUITE_P(Methods, Contract,
                         testing::Combine(testing::ValuesIn(kAllMethods),
                                          testing::Values(3, 10, 16, 17, 32, 33, 1000)),
                         [](const auto& instance) {
                             return std::string(to_string(std::get<0>(instance.param))) + "_" +
                                    std::to_string(std::get<1>(instance.param));
                         });

TEST(MakePolicy, AcceptsAnEmptyPool) {
    for (const Method method : kAllMethods) {
        TestPool pool(0);
        const auto policy = pool.build(method);
        EXPECT_EQ(pool.pick(*policy), std::nullopt) << to_string(method);
        EXPECT_FALSE(policy->offers(0)) << to_string(method);
        policy->load_changed(0);
    }
}

TEST(Method, ReadsTheNamesItWrites) {
    for (const Method method : kAllMethods) {
        EXPECT_EQ(parse_method(to_string(method)), method);
    }
    EXPECT_EQ(parse_method("least_conn"), std::nullopt);
    EXPECT_EQ(parse_method(""), std::nullopt);
}

TEST(Pinned, ReturnsItsSlotWhileOffered) {
    TestPool pool(3);
    const auto policy = make_pinned(1, pool.build(Method::RoundRobin));
    EXPECT_EQ(pool.letters(*policy, 5), "bbbbb");
    EXPECT_EQ(policy->eligible(), 3U);
    EXPECT_TRUE(policy->offers(2));
}

TEST(Pinned, FallsBackWhenExcluded) {
    TestPool pool(3);
    const auto policy = make_pinned(1, pool.build(Method::RoundRobin));
    ASSERT_TRUE(pool.excluded.add(1));
    EXPECT_EQ(pool.letters(*policy, 4), "acac");
}

TEST(Pinned, FallsBackWhenNotEligible) {
    TestPool pool(3);
    pool.members[1].eligible = false;
    const auto policy = make_pinned(1, pool.build(Method::RoundRobin));
    EXPECT_EQ(pool.letters(*policy, 4), "acac");
    EXPECT_FALSE(policy->offers(1));
}

TEST(Pinned, PassesLoadChangesOn) {
    TestPool pool(100);
    const auto policy = make_pinned(0, pool.build(Method::LeastConnections));
    for (std::uint32_t slot = 0; slot < 100; ++slot) {
        pool.set_in_flight(*policy, slot, slot == 42 ? 0 : 5);
    }
    ASSERT_TRUE(pool.excluded.add(0));
    EXPECT_EQ(pool.pick(*policy), 42U);
}

/// Slots 0 and 1, with slot 2 in reserve.
std::unique_ptr<const Policy> with_reserve(TestPool& pool, Method method) {
    pool.members[2].eligible = false;
    auto first = pool.build(method);
    for (Member& member : pool.members) {
        member.eligible = !member.eligible;
    }
    return make_with_reserve(std::move(first), pool.build(method));
}

TEST(WithReserve, IsUsedOnlyWhenNobodyElseIsLeft) {
    TestPool pool(3);
    const auto policy = with_reserve(pool, Method::RoundRobin);
    EXPECT_EQ(pool.letters(*policy, 4), "abab");
    ASSERT_TRUE(pool.excluded.add(0));
    EXPECT_EQ(pool.letters(*policy, 4), "bbbb");
    ASSERT_TRUE(pool.excluded.add(1));
    EXPECT_TRUE(policy->has_other_than(pool.excluded));
    EXPECT_EQ(pool.letters(*policy, 4), "cccc");
    ASSERT_TRUE(pool.excluded.add(2));
    EXPECT_FALSE(policy->has_other_than(pool.excluded));
    EXPECT_EQ(pool.letters(*policy, 1), "-");
}

TEST(WithReserve, BindsNobodyToTheReserve) {
    TestPool pool(3);
    const auto policy = with_reserve(pool, Method::RoundRobin);
    EXPECT_TRUE(policy->offers(1));
    EXPECT_FALSE(policy->offers(2));
    EXPECT_EQ(policy->eligible(), 2U);
}

TEST(WithReserve, PassesLoadChangesOn) {
    TestPool pool(200);
    for (std::size_t slot = 0; slot < 200; ++slot) {
        pool.members[slot].eligible = slot < 100;
    }
    auto first = pool.build(Method::LeastConnections);
    for (Member& member : pool.members) {
        member.eligible = !member.eligible;
    }
    const auto policy = make_with_reserve(std::move(first), pool.build(Method::LeastConnections));
    for (std::uint32_t slot = 0; slot < 100; ++slot) {
        pool.set_in_flight(*policy, slot, slot == 42 ? 0 : 5);
    }
    EXPECT_EQ(pool.pick(*policy), 42U);
}

}  // namespace
}  // namespace rproxy::balancing
