#include "net/timer_wheel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <utility>
#include <vector>

namespace rproxy::net {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr MonotonicTime kStart{1000h};

class ScriptedTimer final : public Timer {
public:
    explicit ScriptedTimer(std::function<void()> fired) : fired_(std::move(fired)) {}

private:
    void on_timer() override { fired_(); }
    std::function<void()> fired_;
};

struct TimerWheelTest : testing::Test {
    TimerWheel wheel{kStart};
    std::vector<int> fired;

    ScriptedTimer timer(int name) {
        return ScriptedTimer([this, name] { fired.push_back(name); });
    }
};

TEST_F(TimerWheelTest, FiresNeverEarlyAndAtMostOneTickLate) {
    std::mt19937_64 random(1);
    std::uniform_int_distribution<std::int64_t> delay(0, std::chrono::nanoseconds(25s).count());
    MonotonicTime now = kStart;
    std::vector<std::unique_ptr<ScriptedTimer>> timers;
    std::vector<std::pair<MonotonicTime, MonotonicTime>> deadline_and_fired;
    for (std::size_t i = 0; i < 200; ++i) {
        const MonotonicTime deadline = kStart + std::chrono::nanoseconds{delay(random)};
        deadline_and_fired.emplace_back(deadline, MonotonicTime{});
        timers.push_back(std::make_unique<ScriptedTimer>(
            [&deadline_and_fired, &now, i] { deadline_and_fired[i].second = now; }));
        wheel.arm(*timers.back(), deadline);
    }
    for (; now <= kStart + 26s; now += 3ms) {
        wheel.advance(now);
    }
    for (const auto& [deadline, at] : deadline_and_fired) {
        EXPECT_GE(at, deadline);
        EXPECT_LE(at - deadline, TimerWheel::kTick + 3ms);
    }
}

TEST_F(TimerWheelTest, FiresInTheOrderOfTicksWhenManyAreDueAtOnce) {
    auto a = timer(1);
    auto b = timer(2);
    auto c = timer(3);
    wheel.arm(c, kStart + 500ms);
    wheel.arm(a, kStart + 100ms);
    wheel.arm(b, kStart + 300ms);
    wheel.advance(kStart + 1s);
    EXPECT_THAT(fired, ElementsAre(1, 2, 3));
}

TEST_F(TimerWheelTest, FiresAPastDeadlineAtTheNextTick) {
    auto late = timer(1);
    wheel.advance(kStart + 1s);
    wheel.arm(late, kStart);
    EXPECT_TRUE(late.armed());
    EXPECT_THAT(fired, IsEmpty());
    wheel.advance(kStart + 1s + TimerWheel::kTick);
    EXPECT_THAT(fired, ElementsAre(1));
    EXPECT_FALSE(late.armed());
}

TEST_F(TimerWheelTest, FiresOnceOnly) {
    auto once = timer(1);
    wheel.arm(once, kStart + 50ms);
    for (auto now = kStart; now < kStart + 30s; now += 7ms) {
        wheel.advance(now);
    }
    EXPECT_THAT(fired, ElementsAre(1));
}

TEST_F(TimerWheelTest, MovesADeadlineLater) {
    auto moved = timer(1);
    wheel.arm(moved, kStart + 50ms);
    wheel.arm(moved, kStart + 200ms);
    wheel.advance(kStart + 199ms);
    EXPECT_THAT(fired, IsEmpty());
    EXPECT_TRUE(moved.armed());
    wheel.advance(kStart + 200ms);
    EXPECT_THAT(fired, ElementsAre(1));
}

TEST_F(TimerWheelTest, MovesADeadlineEarlier) {
    auto moved = timer(1);
    wheel.arm(moved, kStart + 5s);
    wheel.arm(moved, kStart + 50ms);
    wheel.advance(kStart + 50ms);
    EXPECT_THAT(fired, ElementsAre(1));
    wheel.advance(kStart + 6s);
    EXPECT_THAT(fired, ElementsAre(1));
}

TEST_F(TimerWheelTest, KeepsADeadlineBeyondItsHorizon) {
    auto hour = timer(1);
    wheel.arm(hour, kStart + 1h);
    for (auto now = kStart; now < kStart + 1h; now += 999ms) {
        wheel.advance(now);
        ASSERT_THAT(fired, IsEmpty());
    }
    wheel.advance(kStart + 1h);
    EXPECT_THAT(fired, ElementsAre(1));
}

TEST_F(TimerWheelTest, FiresEverythingDueAfterAStallLongerThanItsHorizon) {
    auto a = timer(1);
    auto b = timer(2);
    auto c = timer(3);
    wheel.arm(a, kStart + 50ms);
    wheel.arm(b, kStart + 9s);
    wheel.arm(c, kStart + 1h);
    wheel.advance(kStart + 2h);
    EXPECT_THAT(fired, testing::UnorderedElementsAre(1, 2, 3));
}

TEST_F(TimerWheelTest, IgnoresTimeThatStandsStillOrGoesBack) {
    auto a = timer(1);
    wheel.advance(kStart + 5s);
    wheel.advance(kStart + 1s);
    wheel.advance(kStart - 1s);
    wheel.arm(a, kStart + 6s);
    wheel.advance(kStart + 5999ms);
    EXPECT_THAT(fired, IsEmpty());
    wheel.advance(kStart + 6s);
    EXPECT_THAT(fired, ElementsAre(1));
}

TEST_F(TimerWheelTest, DoesNotFireWhatWasCancelled) {
    auto cancelled = timer(1);
    wheel.arm(cancelled, kStart + 50ms);
    wheel.cancel(cancelled);
    EXPECT_FALSE(cancelled.armed());
    wheel.advance(kStart + 1s);
    EXPECT_THAT(fired, IsEmpty());
    EXPECT_EQ(wheel.next_due(), std::nullopt);
}

TEST_F(TimerWheelTest, FiresWhatWasCancelledAndArmedAgain) {
    auto again = timer(1);
    wheel.arm(again, kStart + 50ms);
    wheel.cancel(again);
    wheel.arm(again, kStart + 100ms);
    wheel.advance(kStart + 99ms);
    EXPECT_THAT(fired, IsEmpty());
    wheel.advance(kStart + 100ms);
    EXPECT_THAT(fired, ElementsAre(1));
}

TEST_F(TimerWheelTest, ForgetsATimerThatIsDestroyed) {
    auto neighbour = timer(1);
    wheel.arm(neighbour, kStart + 50ms);
    {
        auto gone = timer(2);
        auto gone_too = timer(3);
        wheel.arm(gone, kStart + 50ms);
        wheel.arm(gone_too, kStart + 50ms);
    }
    wheel.advance(kStart + 1s);
    EXPECT_THAT(fired, ElementsAre(1));
}

TEST_F(TimerWheelTest, LetsACallbackArmItsOwnTimer) {
    MonotonicTime now = kStart;
    std::unique_ptr<ScriptedTimer> periodic;
    periodic = std::make_unique<ScriptedTimer>([&] {
        fired.push_back(1);
        wheel.arm(*periodic, now + 100ms);
    });
    wheel.arm(*periodic, kStart + 100ms);
    for (; now <= kStart + 1s; now += 10ms) {
        wheel.advance(now);
    }
    EXPECT_EQ(fired.size(), 10U);
}

TEST_F(TimerWheelTest, LetsACallbackDestroyAnyTimerOfItsSlot) {
    std::vector<std::unique_ptr<ScriptedTimer>> timers;
    for (int i = 0; i < 3; ++i) {
        timers.push_back(std::make_unique<ScriptedTimer>([this, &timers, i] {
            fired.push_back(i);
            timers.clear();
        }));
    }
    for (auto& each : timers) {
        wheel.arm(*each, kStart + 50ms);
    }
    wheel.advance(kStart + 1s);
    EXPECT_EQ(fired.size(), 1U);
    EXPECT_EQ(wheel.next_due(), std::nullopt);
}

TEST_F(TimerWheelTest, LetsACallbackCancelAnotherTimerThatIsDue) {
    auto second = timer(2);
    ScriptedTimer first([this, &second] {
        fired.push_back(1);
        wheel.cancel(second);
    });
    wheel.arm(first, kStart + 50ms);
    wheel.arm(second, kStart + 60ms);
    wheel.advance(kStart + 1s);
    EXPECT_THAT(fired, ElementsAre(1));
}

TEST_F(TimerWheelTest, FiresAllThatIsDueAlthoughCallbacksArmFarDeadlines) {
    // A deadline beyond the horizon goes to the slot just behind the present tick: the one that
    // this very advance() has still to look at when it takes several ticks.
    constexpr int kTimers = 8;
    MonotonicTime now = kStart;
    std::vector<std::unique_ptr<ScriptedTimer>> timers;
    for (int i = 0; i < kTimers; ++i) {
        timers.push_back(std::make_unique<ScriptedTimer>([this, &timers, &now, i] {
            fired.push_back(i);
            wheel.arm(*timers[static_cast<std::size_t>(i)], now + 1min);
        }));
    }
    for (int i = 0; i < kTimers; ++i) {
        wheel.arm(*timers[static_cast<std::size_t>(i)], kStart + (i / 2 + 1) * TimerWheel::kTick);
    }
    now = kStart + 5 * TimerWheel::kTick;
    wheel.advance(now);
    EXPECT_EQ(fired.size(), kTimers);
}

TEST_F(TimerWheelTest, SaysWhenItHasSomethingToDo) {
    EXPECT_EQ(wheel.next_due(), std::nullopt);
    auto a = timer(1);
    wheel.arm(a, kStart + 123ms);
    EXPECT_EQ(wheel.next_due(), kStart + 130ms);
    auto b = timer(2);
    wheel.arm(b, kStart + 40ms);
    EXPECT_EQ(wheel.next_due(), kStart + 40ms);
    wheel.advance(kStart + 40ms);
    EXPECT_EQ(wheel.next_due(), kStart + 130ms);
    wheel.advance(kStart + 200ms);
    EXPECT_EQ(wheel.next_due(), std::nullopt);
}

TEST_F(TimerWheelTest, LosesNoTimeWhenALoopWaitsForNextDueOnly) {
    auto far = timer(1);
    const MonotonicTime deadline = kStart + 45s + 3ms;
    wheel.arm(far, deadline);
    int waits = 0;
    MonotonicTime now = kStart;
    while (fired.empty() && waits < 20) {
        const auto due = wheel.next_due();
        ASSERT_TRUE(due);
        ASSERT_GT(*due, now);
        now = *due;
        wheel.advance(now);
        ++waits;
    }
    EXPECT_THAT(fired, ElementsAre(1));
    EXPECT_LE(now - deadline, TimerWheel::kTick);
    EXPECT_LE(waits, 6);
}

TEST(TimerWheel, LetsGoOfItsTimersWhenItDiesFirst) {
    bool fired = false;
    ScriptedTimer survivor([&] { fired = true; });
    {
        TimerWheel wheel(kStart);
        wheel.arm(survivor, kStart + 50ms);
    }
    TimerWheel other(kStart);
    other.arm(survivor, kStart + 50ms);
    other.advance(kStart + 1s);
    EXPECT_TRUE(fired);
}

TEST(MemberTimer, CallsItsOwner) {
    struct Owner {
        int calls{0};
        void deadline() { ++calls; }
        MemberTimer<Owner, &Owner::deadline> timer{*this};
    };
    Owner owner;
    TimerWheel wheel(kStart);
    wheel.arm(owner.timer, kStart + 1ms);
    wheel.advance(kStart + 10ms);
    EXPECT_EQ(owner.calls, 1);
}

}  // namespace
}  // namespace rproxy::net
