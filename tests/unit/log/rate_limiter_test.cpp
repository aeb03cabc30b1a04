#include "log/rate_limiter.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace rproxy::log {
namespace {

using namespace std::chrono_literals;

TEST(RateLimiter, AdmitsSoManyInAnInterval) {
    RateLimiter limiter(2, 1s);
    const MonotonicTime start{};
    EXPECT_EQ(limiter.admit(start), 0U);
    EXPECT_EQ(limiter.admit(start + 1ms), 0U);
    EXPECT_FALSE(limiter.admit(start + 2ms));
    EXPECT_FALSE(limiter.admit(start + 999ms));
}

TEST(RateLimiter, TellsHowManyWereSuppressedOnce) {
    RateLimiter limiter(1, 1s);
    const MonotonicTime start{5h};
    EXPECT_EQ(limiter.admit(start), 0U);
    for (int i = 0; i < 7; ++i) {
        EXPECT_FALSE(limiter.admit(start + 10ms));
    }
    EXPECT_EQ(limiter.admit(start + 1s), 7U);
    EXPECT_EQ(limiter.admit(start + 2s), 0U);
}

TEST(RateLimiter, IsExactUnderSeveralThreads) {
    RateLimiter limiter(3, 1h);
    std::atomic<unsigned> admitted{0};
    std::atomic<std::uint64_t> told{0};
    const auto work = [&] {
        for (int i = 0; i < 1000; ++i) {
            if (const auto suppressed = limiter.admit(MonotonicTime{5h})) {
                ++admitted;
                told += *suppressed;
            }
        }
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back(work);
    }
    for (auto& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(admitted, 3U);
    EXPECT_EQ(told + limiter.admit(MonotonicTime{6h}).value_or(0), 3997U);
}

}  // namespace
}  // namespace rproxy::log
