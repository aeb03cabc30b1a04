#include "runtime/worker.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace rproxy::runtime {
namespace {

TEST(CpusOfQuota, RoundsTheQuotaUpAndNeverAboveWhatIsThere) {
    struct Case {
        std::string_view cpu_max;
        std::size_t otherwise;
        std::size_t cpus;
    };
    const std::vector<Case> cases{
        {"max 100000", 8, 8},
        {"50000 100000", 8, 1},
        {"100000 100000", 8, 1},
        {"100001 100000", 8, 2},
        {"150000 100000", 8, 2},
        {"400000 100000", 8, 4},
        {"1600000 100000", 8, 8},
        {"1000 100000", 8, 1},
        {"20000 10000", 8, 2},
        {"-1 100000", 8, 8},  // cgroup v1 without a quota
        {"0 100000", 8, 8},
        {"100000 0", 8, 8},
        {"100000", 8, 8},
        {"100000 ", 8, 8},
        {"", 8, 8},
        {" ", 8, 8},
        {"garbage", 8, 8},
        {"100000 max", 8, 8},
        {"400000 100000", 1, 1},
    };
    for (const auto& [cpu_max, otherwise, cpus] : cases) {
        EXPECT_EQ(cpus_of_quota(cpu_max, otherwise), cpus) << "'" << cpu_max << "'";
    }
}

TEST(AvailableCpus, AreAtLeastOneAndAtMostThoseOfTheMachine) {
    EXPECT_GE(available_cpus(), 1U);
    EXPECT_LE(available_cpus(), std::max(1U, std::thread::hardware_concurrency()));
}

TEST(Worker, RunsWhatWasPostedOnItsOwnNamedThread) {
    std::string name;
    std::thread::id id;
    Worker worker(3);
    worker.loop().post([&] {
        std::array<char, 16> text{};
        ::pthread_getname_np(::pthread_self(), text.data(), text.size());
        name = text.data();
        id = std::this_thread::get_id();
    });
    worker.start();
    worker.stop();
    EXPECT_EQ(name, "rproxy-w3");
    EXPECT_NE(id, std::this_thread::get_id());
    EXPECT_EQ(worker.index(), 3U);
}

TEST(Worker, RunsAllThatWasPostedBeforeItStopped) {
    std::vector<int> ran;
    Worker worker(0);
    worker.start();
    for (int i = 0; i < 100; ++i) {
        worker.loop().post([&ran, i] { ran.push_back(i); });
    }
    worker.stop();
    worker.stop();
    ASSERT_EQ(ran.size(), 100U);
    EXPECT_TRUE(std::ranges::is_sorted(ran));
}

}  // namespace
}  // namespace rproxy::runtime
