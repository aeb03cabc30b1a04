#include "proxy/retry_budget.h"

#include <gtest/gtest.h>

#include <chrono>

namespace rproxy::proxy {
namespace {

using namespace std::chrono_literals;

constexpr MonotonicTime kStart{1000h};
constexpr int kBurst = 100;

RetryBudget drained() {
    RetryBudget budget;
    for (int i = 0; i < kBurst; ++i) {
        EXPECT_TRUE(budget.take(kStart)) << i;
    }
    return budget;
}

TEST(RetryBudget, AllowsABurstAndNoMore) {
    RetryBudget budget = drained();
    EXPECT_FALSE(budget.take(kStart));
}

TEST(RetryBudget, EarnsAShareOfTheRequests) {
    RetryBudget budget = drained();
    for (int i = 0; i < 4; ++i) {
        budget.on_request(0.25);
        EXPECT_EQ(budget.take(kStart), i == 3) << i;
    }
    EXPECT_FALSE(budget.take(kStart));
}

TEST(RetryBudget, EarnsNothingFromRequestsWithAShareOfNothing) {
    RetryBudget budget = drained();
    for (int i = 0; i < 1000; ++i) {
        budget.on_request(0);
    }
    EXPECT_FALSE(budget.take(kStart));
}

TEST(RetryBudget, EarnsTenASecondWithoutTraffic) {
    RetryBudget budget = drained();
    EXPECT_FALSE(budget.take(kStart + 90ms));
    EXPECT_TRUE(budget.take(kStart + 101ms));
    EXPECT_FALSE(budget.take(kStart + 101ms));
    int taken = 0;
    while (budget.take(kStart + 1102ms)) {
        ++taken;
    }
    EXPECT_EQ(taken, 10);
}

TEST(RetryBudget, SavesNoMoreThanABurst) {
    RetryBudget budget = drained();
    for (int i = 0; i < 10'000; ++i) {
        budget.on_request(1);
    }
    int taken = 0;
    while (budget.take(kStart + 1h)) {
        ++taken;
    }
    EXPECT_EQ(taken, kBurst);
}

TEST(RetryBudget, LosesNothingWhenTimeGoesBack) {
    RetryBudget budget = drained();
    budget.on_request(1);
    EXPECT_TRUE(budget.take(kStart - 1h));
}

}  // namespace
}  // namespace rproxy::proxy
