#include "proxy/retry_budget.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace rproxy::proxy {
namespace {

using namespace std::chrono_literals;
using backends::RetryReserve;

constexpr MonotonicTime kStart{1000h};

class RetryBudgetTest : public testing::Test {
protected:
    void drain() {
        while (reserve_.take(kStart)) {
        }
    }
    int take_all(MonotonicTime now) {
        int taken = 0;
        while (budget_.take(reserve_, now)) {
            ++taken;
        }
        return taken;
    }
    RetryReserve reserve_;
    RetryBudget budget_;
};

TEST_F(RetryBudgetTest, AllowsABurstAndNoMore) {
    EXPECT_EQ(take_all(kStart), RetryReserve::kBurst);
    EXPECT_FALSE(budget_.has(reserve_, kStart));
}

TEST_F(RetryBudgetTest, EarnsAShareOfTheRequests) {
    drain();
    for (int i = 0; i < 4; ++i) {
        budget_.on_request(0.25);
        EXPECT_EQ(budget_.has(reserve_, kStart), i == 3) << i;
        EXPECT_EQ(budget_.take(reserve_, kStart), i == 3) << i;
    }
    EXPECT_FALSE(budget_.take(reserve_, kStart));
}

TEST_F(RetryBudgetTest, SpendsWhatItEarnedBeforeTheReserve) {
    budget_.on_request(1);
    EXPECT_TRUE(budget_.take(reserve_, kStart));
    EXPECT_EQ(take_all(kStart), RetryReserve::kBurst);
}

TEST_F(RetryBudgetTest, EarnsNothingFromRequestsWithAShareOfNothing) {
    drain();
    for (int i = 0; i < 1000; ++i) {
        budget_.on_request(0);
    }
    EXPECT_FALSE(budget_.take(reserve_, kStart));
}

TEST_F(RetryBudgetTest, EarnsTenASecondWithoutTraffic) {
    drain();
    EXPECT_FALSE(budget_.take(reserve_, kStart + 90ms));
    EXPECT_TRUE(budget_.take(reserve_, kStart + 101ms));
    EXPECT_FALSE(budget_.take(reserve_, kStart + 101ms));
    EXPECT_EQ(take_all(kStart + 1102ms), RetryReserve::kPerSecond);
}

TEST_F(RetryBudgetTest, SavesLittle) {
    drain();
    for (int i = 0; i < 10'000; ++i) {
        budget_.on_request(1);
    }
    EXPECT_EQ(take_all(kStart), 20);
    EXPECT_EQ(take_all(kStart + 1h), RetryReserve::kBurst);
}

TEST_F(RetryBudgetTest, LosesNothingWhenTimeGoesBack) {
    drain();
    budget_.on_request(1);
    EXPECT_TRUE(budget_.take(reserve_, kStart - 1h));
}

TEST_F(RetryBudgetTest, IsAFifthOfAllRequestsHoweverManyWorkersShareThem) {
    // Every request fails and wants a retry; unequal workers; a second passes for each thousand.
    std::array<RetryBudget, 8> workers;
    int requests = 0;
    int retries = 0;
    for (int second = 0; second < 60; ++second) {
        for (int i = 0; i < 1000; ++i) {
            auto& worker = workers[static_cast<std::size_t>(i % 11 == 0 ? i % 8 : 0)];
            worker.on_request(0.2);
            ++requests;
            retries += worker.take(reserve_, kStart + second * 1s) ? 1 : 0;
        }
    }
    const double beyond = RetryReserve::kBurst + (60 * RetryReserve::kPerSecond);
    EXPECT_LE(retries, (0.2 * requests) + beyond);
    EXPECT_GE(retries, (0.2 * requests) + beyond - 20) << "but for what is saved at the end";
}

TEST(RetryReserve, GivesNoMoreToRacingWorkers) {
    RetryReserve reserve;
    std::atomic<int> taken{0};
    std::vector<std::jthread> workers(4);
    for (auto& worker : workers) {
        worker = std::jthread([&] {
            for (int i = 0; i < 200; ++i) {
                taken += reserve.take(kStart) ? 1 : 0;
            }
        });
    }
    workers.clear();
    EXPECT_EQ(taken, RetryReserve::kBurst);
}

}  // namespace
}  // namespace rproxy::proxy
