#include "backends/outlier_policy.h"

#include <gtest/gtest.h>

#include <vector>

namespace rproxy::backends {
namespace {

using Indices = std::vector<std::size_t>;

OutlierPolicy policy(double max_ejected, std::uint32_t consecutive_failures = 5) {
    config::Outlier settings;
    settings.max_ejected = percent(max_ejected);
    settings.consecutive_failures = consecutive_failures;
    return OutlierPolicy(settings);
}

TEST(OutlierPolicy, EjectsWithinItsShareAndNeverTheLast) {
    struct Case {
        double max_ejected;
        OutlierPolicy::PoolView pool;
        bool allowed;
    };
    const std::vector<Case> cases{
        {50, {.backends = 1, .ejected = 0, .available = 1}, false},
        {100, {.backends = 1, .ejected = 0, .available = 1}, false},
        {50, {.backends = 2, .ejected = 0, .available = 2}, true},
        {50, {.backends = 2, .ejected = 1, .available = 1}, false},
        {50, {.backends = 3, .ejected = 0, .available = 3}, true},
        {50, {.backends = 3, .ejected = 1, .available = 2}, false},
        {50, {.backends = 4, .ejected = 0, .available = 1}, false},  // three are down
        {50, {.backends = 4, .ejected = 1, .available = 2}, true},
        {100, {.backends = 3, .ejected = 1, .available = 2}, true},
        {100, {.backends = 3, .ejected = 2, .available = 1}, false},
        {30, {.backends = 10, .ejected = 2, .available = 8}, true},
        {30, {.backends = 10, .ejected = 3, .available = 7}, false},
        {0, {.backends = 10, .ejected = 0, .available = 10}, false},
    };
    for (const auto& c : cases) {
        EXPECT_EQ(policy(c.max_ejected).may_eject(c.pool), c.allowed)
            << c.max_ejected << "% of " << c.pool.backends << ", ejected " << c.pool.ejected
            << ", available " << c.pool.available;
    }
}

TEST(OutlierPolicy, FindsWhoFailsMoreThanTheOthersWorstFirst) {
    const std::vector<OutlierPolicy::Sample> samples{{1000, 10},  {1000, 400}, {1000, 0},
                                                     {1000, 900}, {1000, 20},  {1000, 5}};
    EXPECT_EQ(policy(50).outliers(samples), (Indices{3}));
    const std::vector<OutlierPolicy::Sample> two{{1000, 10}, {1000, 700}, {1000, 0}, {1000, 900},
                                                 {1000, 0},  {1000, 5},   {1000, 0}};
    EXPECT_EQ(policy(50).outliers(two), (Indices{3, 1}));
}

TEST(OutlierPolicy, BlamesNobodyWhenThePoolFailsAsAWhole) {
    const std::vector<OutlierPolicy::Sample> samples{{1000, 500}, {1000, 600}, {1000, 990}};
    EXPECT_EQ(policy(50).outliers(samples), Indices{});
}

TEST(OutlierPolicy, NeedsEnoughRequestsOnBothSides) {
    using Samples = std::vector<OutlierPolicy::Sample>;
    EXPECT_EQ(policy(50).outliers(Samples{{49, 49}, {1000, 0}}), Indices{});
    EXPECT_EQ(policy(50).outliers(Samples{{50, 50}, {49, 0}}), Indices{});
    EXPECT_EQ(policy(50).outliers(Samples{{50, 50}, {50, 0}}), Indices{0});
    EXPECT_EQ(policy(50).outliers(Samples{}), Indices{});
}

TEST(OutlierPolicy, ToleratesASmallShareOfFailures) {
    using Samples = std::vector<OutlierPolicy::Sample>;
    EXPECT_EQ(policy(50).outliers(Samples{{1000, 290}, {1000, 0}}), Indices{});
    EXPECT_EQ(policy(50).outliers(Samples{{1000, 300}, {1000, 0}}), Indices{0});
}

TEST(OutlierPolicy, IsOffWithoutConsecutiveFailures) {
    const std::vector<OutlierPolicy::Sample> samples{{1000, 1000}, {1000, 0}};
    EXPECT_EQ(policy(50, 0).outliers(samples), Indices{});
}

}  // namespace
}  // namespace rproxy::backends
