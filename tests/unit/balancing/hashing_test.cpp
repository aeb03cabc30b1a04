#include "balancing/maglev.h"
#include "unit/balancing/test_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace rproxy::balancing {
namespace {

using testing::ElementsAre;

constexpr int kClients = 20'000;

std::vector<std::uint32_t> homes(TestPool& pool, const Policy& policy) {
    std::vector<std::uint32_t> result;
    for (int client = 0; client < kClients; ++client) {
        result.push_back(*pool.pick(policy, stable_hash("client " + std::to_string(client))));
    }
    return result;
}

double share_of(const std::vector<std::uint32_t>& slots, std::uint32_t slot) {
    return static_cast<double>(std::ranges::count(slots, slot)) / static_cast<double>(slots.size());
}

TEST(MaglevTable, IsThatOfThePapersTable1) {
    const std::vector<Preference> three{{3, 4, 1}, {0, 2, 1}, {3, 1, 1}};
    EXPECT_THAT(fill_maglev_table(three, 7), ElementsAre(1, 0, 1, 0, 2, 2, 0));
    const std::vector<Preference> without_b1{{3, 4, 1}, {3, 1, 1}};
    // The paper goes on calling the third backend 2.
    EXPECT_THAT(fill_maglev_table(without_b1, 7), ElementsAre(0, 0, 0, 0, 1, 1, 1));
}

TEST(MaglevTable, GivesEnvoysSharesForWeightsOneAndTwo) {
    TestPool pool({1, 2});
    const MaglevTable table(pool.members);
    EXPECT_EQ(table.slots().size(), 65'537U);
    EXPECT_EQ(std::ranges::count(table.slots(), 0U), 21'846);
    EXPECT_EQ(std::ranges::count(table.slots(), 1U), 43'691);
}

TEST(MaglevTable, IsEvenWithAThousandMembers) {
    TestPool pool(1000);
    const MaglevTable table(pool.members);
    std::vector<int> counts(1000, 0);
    for (const std::uint32_t slot : table.slots()) {
        ++counts[slot];
    }
    const auto [least, most] = std::ranges::minmax(counts);
    EXPECT_EQ(table.slots().size(), 655'373U);
    EXPECT_LE(most, 656);  // NSDI'16: at most one turn more than the mean.
    EXPECT_GE(least, 650);
}

TEST(MaglevTable, DoesNotDependOnTheOrderOfMembers) {
    TestPool pool({3, 1, 4, 1, 5, 9, 2, 6});
    std::vector<Member> reversed(pool.members.rbegin(), pool.members.rend());
    const MaglevTable forwards(pool.members);
    const MaglevTable backwards(reversed);
    for (std::size_t entry = 0; entry < forwards.slots().size(); ++entry) {
        ASSERT_EQ(forwards.slots()[entry], 7 - backwards.slots()[entry]);
    }
}

TEST(MaglevTable, GivesEveryMemberAPlaceHoweverLight) {
    TestPool pool(std::vector<std::uint32_t>(600, 1000));
    pool.members[300].weight = 1;
    const MaglevTable table(pool.members);
    EXPECT_GE(std::ranges::count(table.slots(), 300U), 1);
}

TEST(MaglevTable, MovesLittleWhenAMemberLeaves) {
    TestPool pool(10);
    const MaglevTable before(pool.members);
    pool.members.pop_back();
    const MaglevTable after(pool.members);
    int moved = 0;
    int had_to = 0;
    for (std::size_t entry = 0; entry < before.slots().size(); ++entry) {
        const bool owner_left = before.slots()[entry] == 9;
        had_to += owner_left ? 1 : 0;
        moved += !owner_left && before.slots()[entry] != after.slots()[entry] ? 1 : 0;
    }
    EXPECT_NEAR(had_to, 6554, 1);
    EXPECT_LT(moved, 65'537 / 20);
}

class Hashing : public testing::TestWithParam<std::tuple<Method, std::size_t>> {
protected:
    Method method() const { return std::get<0>(GetParam()); }
    std::size_t size() const { return std::get<1>(GetParam()); }
};

TEST_P(Hashing, SendsAClientToTheSameMemberEachTime) {
    TestPool pool(size());
    const auto policy = pool.build(method());
    const auto first = homes(pool, *policy);
    pool.cursor = 12'345;
    pool.now += std::chrono::hours(1);
    EXPECT_EQ(homes(pool, *policy), first);
    EXPECT_EQ(homes(pool, *pool.build(method())), first);
}

TEST_P(Hashing, MovesOnlyTheClientsOfAMemberThatIsAwayAndBringsThemBack) {
    TestPool pool(size());
    const auto before = homes(pool, *pool.build(method()));
    pool.members[1].eligible = false;
    const auto during = homes(pool, *pool.build(method()));
    std::vector<int> taken_over(size(), 0);
    int moved = 0;
    for (std::size_t client = 0; client < before.size(); ++client) {
        if (before[client] == 1) {
            ++taken_over[during[client]];
            ++moved;
        } else {
            ASSERT_EQ(during[client], before[client]);
        }
    }
    EXPECT_GT(moved, 0);
    EXPECT_EQ(taken_over[1], 0);
    if (size() == 5) {
        EXPECT_GT(taken_over[0], moved / 5);
        EXPECT_GT(taken_over[4], moved / 5);
    }
    pool.members[1].eligible = true;
    EXPECT_EQ(homes(pool, *pool.build(method())), before);
}

TEST_P(Hashing, TreatsAnExcludedMemberAsAway) {
    TestPool pool(size());
    const auto whole = pool.build(method());
    pool.members[1].eligible = false;
    const auto during = homes(pool, *pool.build(method()));
    ASSERT_TRUE(pool.excluded.add(1));
    EXPECT_EQ(homes(pool, *whole), during);
}

TEST_P(Hashing, MovesFewClientsWhenAMemberJoins) {
    TestPool pool(size());
    const auto before = homes(pool, *pool.build(method()));
    pool.add("10.1.2.3:80");
    const auto after = homes(pool, *pool.build(method()));
    int moved = 0;
    for (std::size_t client = 0; client < before.size(); ++client) {
        moved += after[client] != before[client] ? 1 : 0;
    }
    const double fair = 1.0 / static_cast<double>(size() + 1);
    EXPECT_LT(static_cast<double>(moved) / kClients, fair + 0.05);
}

INSTANTIATE_TEST_SUITE_P(Methods, Hashing,
                         testing::Combine(testing::Values(Method::IpHash, Method::ConsistentHash),
                                          testing::Values(2, 5, 100, 640)),
                         [](const auto& instance) {
                             return std::string(to_string(std::get<0>(instance.param))) + "_" +
                                    std::to_string(std::get<1>(instance.param));
                         });

TEST(IpHash, FollowsTheWeights) {
    TestPool pool({1, 2, 5});
    const auto slots = homes(pool, *pool.build(Method::IpHash));
    EXPECT_NEAR(share_of(slots, 0), 0.125, 0.012);
    EXPECT_NEAR(share_of(slots, 1), 0.25, 0.015);
    EXPECT_NEAR(share_of(slots, 2), 0.625, 0.017);
}

TEST(IpHash, SpreadsNeighbouringHashes) {
    TestPool pool(4);
    const auto policy = pool.build(Method::IpHash);
    std::vector<int> counts(4, 0);
    for (std::uint64_t hash = 0; hash < 4000; ++hash) {
        ++counts[*pool.pick(*policy, hash)];
    }
    EXPECT_GT(*std::ranges::min_element(counts), 850);
}

TEST(IpHash, IsTheSameInEveryRelease) {
    // Replicas of two versions run side by side during a rollout; a change here moves every client.
    TestPool pool(5);
    const auto policy = pool.build(Method::IpHash);
    std::string choices;
    for (int client = 0; client < 24; ++client) {
        choices += std::to_string(*pool.pick(*policy, stable_hash(std::to_string(client))));
    }
    EXPECT_EQ(choices, "120041224421232332303014");
}

TEST(ConsistentHash, PassesAFullMembersClientsToTheirNextChoice) {
    TestPool pool(4);
    const auto policy = pool.build(Method::ConsistentHash);
    const std::uint64_t client = stable_hash("somebody");
    const auto home = *pool.pick(*policy, client);
    for (std::uint32_t slot = 0; slot < 4; ++slot) {
        pool.set_in_flight(*policy, slot, slot == home ? 12 : 8);
    }
    // 36 in flight and one to come: 5/4 * 37 / 4 is 11.6, so 12 is the limit.
    const auto next = *pool.pick(*policy, client);
    EXPECT_NE(next, home);
    EXPECT_EQ(pool.pick(*policy, client), next);
    pool.set_in_flight(*policy, home, 11);
    EXPECT_EQ(pool.pick(*policy, client), home);
    ASSERT_TRUE(pool.excluded.add(home));
    EXPECT_EQ(pool.pick(*policy, client), next);
}

TEST(ConsistentHash, BoundsTheLoadOfASingleHotKey) {
    TestPool pool({1, 1, 2, 4});
    const auto policy = pool.build(Method::ConsistentHash);
    for (int i = 0; i < 800; ++i) {
        const auto slot = *pool.pick(*policy, 42);
        pool.set_in_flight(*policy, slot, pool.loads[slot].in_flight + 1);
    }
    for (std::uint32_t slot = 0; slot < 4; ++slot) {
        EXPECT_LE(pool.loads[slot].in_flight, 125 * pool.members[slot].weight + 1) << slot;
    }
}

TEST(ConsistentHash, TakesTheHomeWhileThePoolIsIdle) {
    TestPool hash_pool(7);
    const auto plain = homes(hash_pool, *hash_pool.build(Method::IpHash));
    EXPECT_EQ(homes(hash_pool, *hash_pool.build(Method::ConsistentHash)), plain);
}

TEST(ConsistentHash, CountsWhatIsInFlightWhenItIsBuilt) {
    TestPool pool(4);
    for (Load& load : pool.loads) {
        load.in_flight = 10;
    }
    const auto policy = pool.build(Method::ConsistentHash);
    const auto first = homes(pool, *policy);
    EXPECT_EQ(first, homes(pool, *pool.build(Method::IpHash)));
}

}  // namespace
}  // namespace rproxy::balancing
