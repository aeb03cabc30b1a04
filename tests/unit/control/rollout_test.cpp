#include "control/rollout.h"

#include "config/load.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace rproxy::control {
namespace {

using namespace std::chrono_literals;
using Next = RolloutVerdict::Next;

config::Snapshot load(const std::string& text) {
    auto loaded = config::load(text);
    EXPECT_TRUE(loaded) << text;
    return loaded ? *loaded : config::Snapshot{};
}

class RolloutCourse : public testing::Test {
protected:
    static Candidate candidate() {
        Candidate made;
        made.snapshot = std::make_shared<const config::Snapshot>(
            load("backends: [10.0.0.1:80]\nrollout: {canary: 20%, for: 10s}\n"));
        made.sha256 = "abc";
        return made;
    }
    static Rollout::Observation seen(bool checked, std::uint64_t requests = 0,
                                     std::uint64_t failures = 0) {
        Rollout::Observation observation;
        observation.checked = checked;
        observation.stable.begun = observation.stable.requests = requests * 4;
        observation.stable.latencies[0] = requests * 4;
        observation.candidate.begun = observation.candidate.requests = requests;
        observation.candidate.latencies[0] = requests;
        observation.candidate.failures = failures;
        return observation;
    }

    MonotonicTime now_{1h};
    Rollout rollout_{candidate(), now_, WallTime{1s}};
};

TEST_F(RolloutCourse, TakesTrafficAfterTheChecksAndIsPromotedAfterItsTime) {
    EXPECT_EQ(rollout_.step(now_, seen(false)).next, Next::Wait);
    EXPECT_EQ(rollout_.status(now_, {}, {}).share, 0);
    now_ += 3s;
    EXPECT_EQ(rollout_.step(now_, seen(true)).next, Next::BeginTraffic);
    EXPECT_EQ(rollout_.stage(), RolloutStage::Comparing);
    EXPECT_EQ(rollout_.status(now_, {}, {}).share, 0.2);
    EXPECT_EQ(rollout_.status(now_, {}, {}).left, 10s);
    now_ += 9999ms;
    EXPECT_EQ(rollout_.step(now_, seen(true, 100)).next, Next::Wait)
        << "its time begins with its first request, not with the checks";
    EXPECT_EQ(rollout_.status(now_, {}, {}).left, 1ms);
    now_ += 1ms;
    EXPECT_EQ(rollout_.step(now_, seen(true, 100)).next, Next::Promote);
}

TEST_F(RolloutCourse, IsRolledBackAsSoonAsItFails) {
    EXPECT_EQ(rollout_.step(now_, seen(true)).next, Next::BeginTraffic);
    now_ += 100ms;
    EXPECT_EQ(rollout_.step(now_, seen(true, 10, 10)).next, Next::RollBack);
}

TEST(CanBeSplit, PoolsAndRoutesCan) {
    const auto before = load("backends: [10.0.0.1:80]\n");
    EXPECT_FALSE(can_be_split(before, load("backends: [10.0.0.1:80]\nlog: {level: warn}\n")));
    EXPECT_TRUE(can_be_split(before, load("backends: [10.0.0.2:80]\n")));
    EXPECT_TRUE(can_be_split(before, load("backends: [10.0.0.1:80]\nretry: {limit: 0}\n")));
}

TEST(AppliedAtOnce, NamesWhatCannotBeSplit) {
    const auto before = load("listeners: [{address: '127.0.0.1:80'}]\nbackends: [10.0.0.1:80]\n");
    const auto after = load(
        "listeners: [{address: '127.0.0.1:81'}]\nbackends: [10.0.0.2:80]\n"
        "timeouts: {client_idle: 5s}\nrollout: {}\n");
    const auto changes = applied_at_once(before, after);
    ASSERT_EQ(changes.size(), 2U);
    EXPECT_NE(changes[0].find("127.0.0.1:81"), std::string::npos) << changes[0];
    EXPECT_NE(changes[1].find("client_idle"), std::string::npos) << changes[1];
    EXPECT_TRUE(applied_at_once(before, load("listeners: [{address: '127.0.0.1:80'}]\n"
                                             "backends: [10.0.0.2:80]\nrollout: {}\n"))
                    .empty());
}

}  // namespace
}  // namespace rproxy::control
