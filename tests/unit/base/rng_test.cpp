#include "base/rng.h"

#include "support/scripted_rng.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>

namespace rproxy {
namespace {

using test::ScriptedRng;

// Computed with another program from the published algorithms.
TEST(XoshiroRng, GivesThePublishedSequence) {
    XoshiroRng zero(0);
    for (const std::uint64_t number :
         {0x99ec5f36cb75f2b4U, 0xbf6e1f784956452aU, 0x1a5f849d4933e6e0U, 0x6aa594f1262d2d2cU}) {
        EXPECT_EQ(zero.next(), number);
    }
    XoshiroRng other(42);
    EXPECT_EQ(other.next(), 0x15780b2e0c2ec716U);
    EXPECT_EQ(other.next(), 0x6104d9866d113a7eU);
}

TEST(Rng, StaysBelowItsBound) {
    ScriptedRng rng({0, ~0ULL, 0x8000000000000000U, ~0ULL, ~0ULL});
    EXPECT_EQ(rng.below(10), 0U);
    EXPECT_EQ(rng.below(10), 9U);
    EXPECT_EQ(rng.below(10), 5U);
    EXPECT_EQ(rng.below(1), 0U);
    EXPECT_EQ(rng.below(0), 0U);
}

TEST(Rng, ReachesEveryNumberBelowABoundAboutEquallyOften) {
    XoshiroRng rng(7);
    std::array<int, 6> seen{};
    for (int i = 0; i < 60'000; ++i) {
        ++seen.at(rng.below(6));
    }
    for (const int times : seen) {
        EXPECT_NEAR(times, 10'000, 500);  // more than five standard deviations
    }
}

TEST(Rng, KeepsUnitBelowOne) {
    ScriptedRng rng({0, ~0ULL, 0x8000000000000000U});
    EXPECT_EQ(rng.unit(), 0.0);
    const double largest = rng.unit();
    EXPECT_LT(largest, 1.0);
    EXPECT_GT(largest, 0.999999);
    EXPECT_EQ(rng.unit(), 0.5);
}

}  // namespace
}  // namespace rproxy
