#include "backends/health_tracker.h"

#include "support/manual_clock.h"
#include "support/scripted_rng.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace rproxy::backends {
namespace {

using config::AdminState;
using Send = HealthTracker::ProbeDecision;

/// A tracker with its time; no jitter unless asked for.
class Tracked {
public:
    explicit Tracked(HealthPolicy policy = plain(), AdminState admin = AdminState::Up)
        : tracker(policy, admin, rng, now()) {}

    static HealthPolicy plain() { return {.jitter = percent(0)}; }
    Moment now() const { return {clock.now(), clock.wall_now()}; }
    void advance(std::chrono::nanoseconds by) { clock.advance(by); }
    void advance_to(MonotonicTime time) {
        if (time > clock.now()) {
            clock.advance(time - clock.now());
        }
    }
    /// Waits for the next probe and lets it end in a millisecond.
    std::optional<Transition> probe(std::optional<FailureReason> failure) {
        advance_to(tracker.next_probe_at());
        last_due = tracker.next_probe_at();
        EXPECT_EQ(tracker.begin_probe(now()), Send::Send);
        advance(1ms);
        return tracker.probe_finished({failure, failure ? "failed" : "connected"}, now());
    }
    std::optional<Transition> pass() { return probe(std::nullopt); }
    std::optional<Transition> fail(FailureReason reason = FailureReason::Timeout) {
        return probe(reason);
    }
    /// Up to down by failed probes, and how long until good probes bring it back.
    MonotonicTime::duration outage() {
        while (tracker.state() == State::Up) {
            fail();
        }
        const auto down = clock.now();
        while (tracker.state() == State::Down) {
            pass();
        }
        return clock.now() - down;
    }
    HealthTracker::Facts facts() const { return tracker.facts(clock.now()); }
    std::uint64_t checks(metrics::HealthCheckResult result) const {
        return facts().checks[static_cast<std::size_t>(result)];
    }

    /// From when the last probe was due to when the next one is.
    MonotonicTime::duration gap() const { return tracker.next_probe_at() - last_due; }

    test::ManualClock clock;
    test::ScriptedRng rng;
    HealthTracker tracker;
    MonotonicTime last_due;
};

void expect_transition(const std::optional<Transition>& transition, State from, State to,
                       std::string_view reason, bool is_crash) {
    ASSERT_TRUE(transition);
    EXPECT_EQ(to_string(transition->from), to_string(from));
    EXPECT_EQ(to_string(transition->to), to_string(to));
    EXPECT_EQ(transition->reason, reason);
    EXPECT_EQ(transition->is_crash, is_crash);
}

TEST(HealthTracker, BeginsUnknownWithAProbeDueAtOnce) {
    const Tracked t;
    EXPECT_EQ(t.tracker.state(), State::Unknown);
    EXPECT_EQ(t.tracker.eligibility(), Eligibility::IfNoneUp);
    EXPECT_EQ(t.tracker.next_probe_at(), t.clock.now());
    EXPECT_FALSE(t.facts().up_since);
}

TEST(HealthTracker, IsJudgedByItsFirstProbe) {
    Tracked good;
    expect_transition(good.pass(), State::Unknown, State::Up, "first_check", false);
    EXPECT_EQ(good.tracker.eligibility(), Eligibility::Yes);
    EXPECT_FALSE(good.facts().last_recovery) << "it was never down";

    Tracked bad;
    expect_transition(bad.fail(FailureReason::Refused), State::Unknown, State::Down, "refused",
                      false);
    EXPECT_EQ(bad.tracker.eligibility(), Eligibility::LastResort);
    EXPECT_FALSE(bad.facts().last_crash) << "it was never up";
}

TEST(HealthTracker, GoesDownAfterFallAndUpAfterRise) {
    Tracked t;
    t.pass();
    EXPECT_FALSE(t.fail());
    EXPECT_FALSE(t.fail());
    expect_transition(t.fail(), State::Up, State::Down, "timeout", true);
    EXPECT_FALSE(t.pass());
    expect_transition(t.pass(), State::Down, State::Up, "recovered", false);
    EXPECT_EQ(t.facts().state_changes, 3U);
}

TEST(HealthTracker, NeverFallsOnAlternatingResults) {
    for (std::uint32_t fall = 2; fall <= 5; ++fall) {
        auto policy = Tracked::plain();
        policy.fall = fall;
        Tracked t(policy);
        t.pass();
        for (int i = 0; i < 500; ++i) {
            for (std::uint32_t n = 1; n < fall; ++n) {
                EXPECT_FALSE(t.fail());
            }
            EXPECT_FALSE(t.pass());
        }
        EXPECT_EQ(t.tracker.state(), State::Up);
    }
}

TEST(HealthTracker, NeverRisesOnAlternatingResults) {
    Tracked t;
    t.fail();
    for (int i = 0; i < 500; ++i) {
        EXPECT_FALSE(t.pass());
        EXPECT_FALSE(t.fail());
    }
    EXPECT_EQ(t.tracker.state(), State::Down);
}

/// The rules without hold-down, written a second time: runs of equal results.
TEST(HealthTracker, AgreesWithItsRulesOnRandomResults) {
    XoshiroRng random(42);
    for (int round = 0; round < 300; ++round) {
        auto policy = Tracked::plain();
        policy.rise = 1 + random.below(4);
        policy.fall = 1 + random.below(4);
        policy.interval = 11min;  // so long that falls are never within one window
        Tracked t(policy);
        std::optional<bool> expected_up;
        std::uint32_t run = 0;
        bool last = false;
        for (int i = 0; i < 100; ++i) {
            const bool good = random.below(3) != 0;
            run = i > 0 && good == last ? run + 1 : 1;
            last = good;
            t.advance(11min);
            t.probe(good ? std::nullopt : std::optional(FailureReason::HealthCheck));
            const auto needed = good ? policy.rise : policy.fall;
            if (!expected_up || (good != *expected_up && run >= needed)) {
                expected_up = good;
                run = 0;
            }
            ASSERT_EQ(t.tracker.state() == State::Up, *expected_up) << "round " << round;
        }
    }
}

TEST(HealthTracker, CountsRefusedAndResetTrafficTowardsFall) {
    Tracked t;
    t.pass();
    t.advance(1s);
    EXPECT_FALSE(t.tracker.traffic_failed(FailureReason::Refused, t.now()).transition);
    EXPECT_TRUE(t.tracker.is_suspect());
    EXPECT_FALSE(t.tracker.traffic_failed(FailureReason::Reset, t.now()).transition);
    expect_transition(t.tracker.traffic_failed(FailureReason::Refused, t.now()).transition,
                      State::Up, State::Down, "refused", true);
    EXPECT_EQ(t.facts().last_crash_reason, FailureReason::Refused);
    EXPECT_FALSE(t.tracker.is_suspect());
}

TEST(HealthTracker, AddsProbeAndTrafficFailures) {
    Tracked t;
    t.pass();
    t.tracker.traffic_failed(FailureReason::Refused, t.now());
    EXPECT_FALSE(t.fail());
    expect_transition(t.fail(), State::Up, State::Down, "timeout", true);
}

TEST(HealthTracker, LetsServedRequestsTakeBackOnlyWhatTrafficShowed) {
    Tracked t;
    t.pass();
    for (int i = 0; i < 10; ++i) {
        t.tracker.traffic_failed(FailureReason::Reset, t.now());
        t.tracker.traffic_succeeded();
    }
    EXPECT_EQ(t.tracker.state(), State::Up);
    EXPECT_FALSE(t.tracker.is_suspect());
    t.fail();
    t.tracker.traffic_succeeded();
    t.fail();
    t.tracker.traffic_succeeded();
    t.fail();
    EXPECT_EQ(t.tracker.state(), State::Down) << "its health path says no";
}

TEST(HealthTracker, ProbesAtOnceWhenTrafficFails) {
    Tracked t;
    t.pass();
    t.advance(2s);
    t.tracker.traffic_failed(FailureReason::Reset, t.now());
    EXPECT_EQ(t.tracker.next_probe_at(), t.clock.now());
    t.pass();
    const auto probed = t.clock.now() - 1ms;
    t.tracker.traffic_failed(FailureReason::Reset, t.now());
    EXPECT_EQ(t.tracker.next_probe_at(), probed + 200ms) << "but no hail of probes";
}

TEST(HealthTracker, DoesNotProbeForAFailingStatus) {
    Tracked t;
    t.pass();
    const auto next = t.tracker.next_probe_at();
    t.tracker.traffic_failed(FailureReason::HttpStatus, t.now());
    EXPECT_EQ(t.tracker.next_probe_at(), next);
}

TEST(HealthTracker, ProbesFasterWhileAVerdictIsPending) {
    Tracked t;
    t.pass();
    EXPECT_EQ(t.gap(), 5s);
    t.fail();
    EXPECT_EQ(t.gap(), 1s);
    t.fail();
    t.fail();
    EXPECT_EQ(t.tracker.state(), State::Down);
    EXPECT_EQ(t.gap(), 5s);
    t.pass();
    EXPECT_EQ(t.gap(), 1s);
}

TEST(HealthTracker, KeepsTheFastIntervalBetween200MillisecondsAndTheInterval) {
    auto policy = Tracked::plain();
    policy.interval = 500ms;
    Tracked t(policy);
    t.pass();
    t.fail();
    EXPECT_EQ(t.gap(), 200ms);
    policy.interval = 100ms;
    Tracked faster(policy);
    faster.pass();
    faster.fail();
    EXPECT_EQ(faster.gap(), 100ms);
}

TEST(HealthTracker, SpreadsProbesByTheJitter) {
    auto policy = Tracked::plain();
    policy.jitter = percent(20);
    Tracked t(policy);
    t.pass();
    t.rng = test::ScriptedRng({test::ScriptedRng::at(0), test::ScriptedRng::at(0.5)});
    t.pass();
    EXPECT_EQ(t.gap(), 4s);
    t.pass();
    EXPECT_EQ(t.gap(), 5s);
}

TEST(HealthTracker, SpreadsBackendsThatCameTogetherOverTheInterval) {
    test::ManualClock clock;
    test::ScriptedRng rng(
        {test::ScriptedRng::at(0), test::ScriptedRng::at(0.25), test::ScriptedRng::at(0.5)});
    const Moment start{clock.now(), clock.wall_now()};
    const auto second_probe = [&](std::optional<FailureReason> failure) {
        HealthTracker tracker(Tracked::plain(), AdminState::Up, rng, start);
        tracker.begin_probe(start);
        tracker.probe_finished({failure, ""}, start);
        return tracker.next_probe_at() - clock.now();
    };
    EXPECT_EQ(second_probe(std::nullopt), 5s);
    EXPECT_EQ(second_probe(std::nullopt), 3750ms);
    EXPECT_EQ(second_probe(FailureReason::Refused), 2500ms);
}

TEST(HealthTracker, HasOneProbeUnderWayAtATime) {
    Tracked t;
    EXPECT_EQ(t.tracker.begin_probe(t.now()), Send::Send);
    EXPECT_EQ(t.tracker.next_probe_at(), MonotonicTime::max());
    t.tracker.traffic_failed(FailureReason::Refused, t.now());
    EXPECT_EQ(t.tracker.next_probe_at(), MonotonicTime::max());
}

TEST(HealthTracker, BlamesNobodyWhenItIsLateItself) {
    Tracked t;
    t.pass();
    for (int i = 0; i < 10; ++i) {
        t.advance_to(t.tracker.next_probe_at());
        t.tracker.begin_probe(t.now());
        t.advance(2s + 201ms);
        EXPECT_FALSE(t.tracker.probe_finished({FailureReason::Timeout, "timeout"}, t.now()));
        EXPECT_EQ(t.tracker.next_probe_at() - t.clock.now(), 1s);
    }
    EXPECT_EQ(t.tracker.state(), State::Up);
    EXPECT_EQ(t.checks(metrics::HealthCheckResult::Overrun), 10U);
    EXPECT_EQ(t.checks(metrics::HealthCheckResult::Failure), 0U);
    EXPECT_EQ(t.checks(metrics::HealthCheckResult::Success), 1U);
}

TEST(HealthTracker, TakesATimeoutThatComesWhenItShould) {
    auto policy = Tracked::plain();
    policy.fall = 1;
    Tracked t(policy);
    t.pass();
    t.advance_to(t.tracker.next_probe_at());
    t.tracker.begin_probe(t.now());
    t.advance(2s + 100ms);  // a timer's step later
    EXPECT_TRUE(t.tracker.probe_finished({FailureReason::Timeout, "timeout"}, t.now()));
}

TEST(HealthTracker, SkipsProbesThatTrafficMakesNeedless) {
    auto policy = Tracked::plain();
    policy.traffic_proves_health = true;
    Tracked t(policy);
    t.pass();
    t.advance_to(t.tracker.next_probe_at());
    EXPECT_EQ(t.tracker.begin_probe(t.now(), true), Send::SkippedByTraffic);
    EXPECT_EQ(t.tracker.next_probe_at() - t.clock.now(), 5s);
    EXPECT_EQ(t.checks(metrics::HealthCheckResult::SkippedByTraffic), 1U);
    EXPECT_EQ(t.facts().last_check->at, t.clock.wall_now()) << "the checker is not stuck";
    t.advance(5s);
    EXPECT_EQ(t.tracker.begin_probe(t.now(), false), Send::Send) << "silent since";
}

TEST(HealthTracker, ProbesInSpiteOfTrafficWhileSomethingIsAmiss) {
    auto policy = Tracked::plain();
    policy.traffic_proves_health = true;
    Tracked unseen(policy);
    EXPECT_EQ(unseen.tracker.begin_probe(unseen.now(), true), Send::Send);
    Tracked suspect(policy);
    suspect.pass();
    suspect.tracker.traffic_failed(FailureReason::HttpStatus, suspect.now());
    suspect.advance_to(suspect.tracker.next_probe_at());
    EXPECT_EQ(suspect.tracker.begin_probe(suspect.now(), true), Send::Send);
    Tracked pending(policy);
    pending.pass();
    pending.fail();
    pending.advance_to(pending.tracker.next_probe_at());
    EXPECT_EQ(pending.tracker.begin_probe(pending.now(), true), Send::Send);
}

TEST(HealthTracker, ProbesInSpiteOfTrafficThatProvesLess) {
    config::Pool pool;
    EXPECT_TRUE(HealthPolicy::of(pool).traffic_proves_health);
    pool.health_check.port = 8081;
    EXPECT_FALSE(HealthPolicy::of(pool).traffic_proves_health);
    pool.health_check.port.reset();
    pool.health_check.path = "/healthz";
    Tracked t(HealthPolicy::of(pool));
    EXPECT_FALSE(HealthPolicy::of(pool).traffic_proves_health);
    t.pass();
    t.advance_to(t.tracker.next_probe_at());
    EXPECT_EQ(t.tracker.begin_probe(t.now(), true), Send::Send);
}

TEST(HealthTracker, ProbesEachIntervalHoweverLongAProbeTakes) {
    Tracked t;
    t.pass();
    t.pass();
    const auto begin = t.tracker.next_probe_at();
    for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(t.tracker.next_probe_at(), begin + i * 5s);
        t.advance_to(t.tracker.next_probe_at());
        EXPECT_EQ(t.tracker.begin_probe(t.now()), Send::Send);
        t.advance(i * 100ms);
        t.tracker.probe_finished({}, t.now());
    }
}

TEST(HealthTracker, KeepsItsBeatAfterAStall) {
    Tracked t;
    t.pass();
    t.pass();
    const auto due = t.tracker.next_probe_at();
    t.advance_to(due + 17s);  // nobody ran this process
    t.tracker.begin_probe(t.now());
    t.tracker.probe_finished({}, t.now());
    EXPECT_EQ(t.tracker.next_probe_at(), due + 20s);
}

TEST(HealthTracker, ProbesAtTheRateOfTheIntervalInSpiteOfTheJitter) {
    Tracked t({.jitter = percent(20)});
    XoshiroRng rng(1);
    HealthTracker tracker({.jitter = percent(20)}, AdminState::Up, rng, t.now());
    const auto begin = t.clock.now();
    constexpr int kProbes = 2000;
    for (int i = 0; i < kProbes; ++i) {
        t.advance_to(tracker.next_probe_at());
        tracker.begin_probe(t.now());
        t.advance(300ms);
        tracker.probe_finished({}, t.now());
    }
    const std::chrono::duration<double> each = (t.clock.now() - begin) / kProbes;
    EXPECT_NEAR(each.count(), 5, 0.05);
}

TEST(HealthTracker, SpreadsAgainWhenTheIntervalBecomesShorter) {
    auto policy = Tracked::plain();
    policy.interval = 60s;
    Tracked t(policy);
    t.pass();
    t.pass();
    t.rng = test::ScriptedRng({test::ScriptedRng::at(0.75)});
    policy.interval = 4s;
    t.tracker.reconfigure(policy, t.now());
    EXPECT_EQ(t.tracker.next_probe_at() - t.clock.now(), 1s);
    t.tracker.reconfigure(policy, t.now());
    EXPECT_EQ(t.tracker.next_probe_at() - t.clock.now(), 1s) << "once is enough";
}

TEST(HealthTracker, HoldsDownWhoFlapsForLongerEachTime) {
    Tracked t;
    t.pass();
    const auto undamped = t.outage();
    EXPECT_LT(undamped, 10s);
    EXPECT_EQ(t.outage(), undamped) << "the second fall is forgiven";
    EXPECT_EQ(t.outage(), 10s + 1ms);
    EXPECT_EQ(t.outage(), 20s + 1ms);
    EXPECT_EQ(t.outage(), 40s + 1ms);
    EXPECT_EQ(t.outage(), 80s + 1ms);
    EXPECT_EQ(t.outage(), 120s + 1ms);
    EXPECT_EQ(t.outage(), 120s + 1ms) << "and no longer";
    t.advance(20min);
    EXPECT_EQ(t.outage(), undamped) << "old falls are forgotten";
}

TEST(HealthTracker, TellsThatItIsHeld) {
    Tracked t;
    t.pass();
    t.outage();
    t.outage();
    EXPECT_FALSE(t.tracker.held_until());
    while (t.tracker.state() == State::Up) {
        t.fail();
    }
    EXPECT_EQ(t.tracker.held_until(), t.clock.now() + 10s);
    EXPECT_EQ(t.tracker.recent_falls(t.clock.now()), 3U);
}

/// Down for the fifth time within ten minutes, and held for 40 s.
void make_held(Tracked& t) {
    t.pass();
    for (int falls = 0; falls < 4; ++falls) {
        t.outage();
    }
    while (t.tracker.state() == State::Up) {
        t.fail();
    }
}

TEST(HealthTracker, IsInReserveOnceItsProbesPass) {
    Tracked t;
    make_held(t);
    EXPECT_EQ(t.tracker.eligibility(), Eligibility::LastResort);
    t.pass();
    EXPECT_EQ(t.tracker.eligibility(), Eligibility::LastResort) << "one is not `rise`";
    EXPECT_FALSE(t.tracker.lift_hold(t.now()));
    t.pass();
    EXPECT_EQ(t.tracker.eligibility(), Eligibility::Reserve);
    EXPECT_EQ(t.tracker.state(), State::Down);
    t.tracker.traffic_failed(FailureReason::Refused, t.now());
    EXPECT_EQ(t.tracker.eligibility(), Eligibility::LastResort) << "it has to show itself again";
    t.pass();
    t.pass();
    EXPECT_EQ(t.tracker.eligibility(), Eligibility::Reserve);
    t.fail();
    EXPECT_EQ(t.tracker.eligibility(), Eligibility::LastResort);
}

TEST(HealthTracker, ComesUpFromReserveWhenItIsNeeded) {
    Tracked t;
    make_held(t);
    t.pass();
    t.pass();
    expect_transition(t.tracker.lift_hold(t.now()), State::Down, State::Up, "hold_lifted", false);
    EXPECT_EQ(t.tracker.eligibility(), Eligibility::Yes);
    EXPECT_FALSE(t.tracker.held_until());
    EXPECT_FALSE(t.tracker.lift_hold(t.now()));
    t.fail();
    t.fail();
    EXPECT_TRUE(t.fail()->is_crash) << "it was up again, whoever lifted the hold";
}

TEST(HealthTracker, TellsOfTheHoldWithTheFall) {
    Tracked t;
    t.pass();
    std::optional<Transition> fall;
    for (int falls = 1; falls <= 3; ++falls) {
        while (t.tracker.state() == State::Up) {
            fall = t.fail();
        }
        EXPECT_EQ(fall->held_until.has_value(), falls == 3);
        if (falls < 3) {
            t.pass();
            t.pass();
        }
    }
    EXPECT_EQ(fall->held_until, t.clock.wall_now() + 10s);
    EXPECT_EQ(fall->recent_falls, 3U);
}

TEST(HealthTracker, AsksForEjectionAfterConsecutiveFailuresOfTraffic) {
    Tracked t;
    t.pass();
    for (int i = 0; i < 4; ++i) {
        EXPECT_FALSE(t.tracker.traffic_failed(FailureReason::HttpStatus, t.now()).wants_ejection);
    }
    t.tracker.traffic_succeeded();
    for (int i = 0; i < 4; ++i) {
        EXPECT_FALSE(t.tracker.traffic_failed(FailureReason::Timeout, t.now()).wants_ejection);
    }
    EXPECT_TRUE(t.tracker.traffic_failed(FailureReason::HttpStatus, t.now()).wants_ejection);
    EXPECT_TRUE(t.tracker.traffic_failed(FailureReason::HttpStatus, t.now()).wants_ejection)
        << "it asks again when the pool did not allow it";
}

TEST(HealthTracker, NeverAsksForEjectionWhenThatIsOff) {
    auto policy = Tracked::plain();
    policy.outlier_failures = 0;
    Tracked t(policy);
    t.pass();
    for (int i = 0; i < 100; ++i) {
        EXPECT_FALSE(t.tracker.traffic_failed(FailureReason::HttpStatus, t.now()).wants_ejection);
    }
}

TEST(HealthTracker, EjectsForLongerEachTime) {
    Tracked t;
    t.pass();
    for (int n = 1; n <= 3; ++n) {
        expect_transition(t.tracker.eject(FailureReason::HttpStatus, t.now()), State::Up,
                          State::Ejected, "http_status", true);
        EXPECT_EQ(t.tracker.eligibility(), Eligibility::LastResort);
        EXPECT_EQ(t.tracker.ejected_until(), t.clock.now() + n * 10s);
        t.advance(n * 10s - 1ms);
        EXPECT_FALSE(t.tracker.tick(t.now()));
        t.advance(1ms);
        EXPECT_LE(t.tracker.next_wakeup(), t.clock.now());
        expect_transition(t.tracker.tick(t.now()), State::Ejected, State::Up, "ejection_over",
                          false);
    }
    EXPECT_EQ(t.facts().crashes[static_cast<std::size_t>(FailureReason::HttpStatus)], 3U);
}

TEST(HealthTracker, EjectsOnlyWhoIsUp) {
    Tracked t;
    EXPECT_FALSE(t.tracker.eject(FailureReason::HttpStatus, t.now()));
    t.fail();
    EXPECT_FALSE(t.tracker.eject(FailureReason::HttpStatus, t.now()));
    EXPECT_EQ(t.tracker.state(), State::Down);
}

TEST(HealthTracker, GoesDownFromEjectionWhenProbesFailAndIsNoSecondCrash) {
    Tracked t;
    t.pass();
    t.tracker.eject(FailureReason::HttpStatus, t.now());
    t.fail();
    t.fail();
    expect_transition(t.fail(FailureReason::Refused), State::Ejected, State::Down, "refused",
                      false);
    EXPECT_FALSE(t.tracker.ejected_until());
    EXPECT_FALSE(t.tracker.tick({t.clock.now() + 1h, t.clock.wall_now()}));
}

TEST(HealthTracker, ShowsWhatTheOperatorWantsWhileHealthGoesOn) {
    Tracked t;
    t.pass();
    expect_transition(t.tracker.set_admin_state(AdminState::Drain, t.now()), State::Up,
                      State::Draining, "config", false);
    EXPECT_EQ(t.tracker.eligibility(), Eligibility::No);
    EXPECT_FALSE(t.fail());
    EXPECT_FALSE(t.fail());
    EXPECT_FALSE(t.fail());
    EXPECT_FALSE(t.facts().last_crash) << "a drained backend may go away";
    expect_transition(t.tracker.set_admin_state(AdminState::Disabled, t.now()), State::Draining,
                      State::Disabled, "config", false);
    expect_transition(t.tracker.set_admin_state(AdminState::Up, t.now()), State::Disabled,
                      State::Down, "config", false);
    EXPECT_FALSE(t.tracker.set_admin_state(AdminState::Up, t.now()));
}

TEST(HealthTracker, KeepsItsFacts) {
    Tracked t;
    t.advance(1h);  // unknown counts neither way
    t.pass();
    const auto up = t.clock.wall_now();
    EXPECT_EQ(t.facts().up_since, up);
    t.advance(60s);
    EXPECT_EQ(t.facts().uptime, 60s);
    t.tracker.traffic_failed(FailureReason::Reset, t.now());
    t.tracker.traffic_failed(FailureReason::Reset, t.now());
    const auto crashed = t.clock.wall_now();
    t.tracker.traffic_failed(FailureReason::Reset, t.now());
    EXPECT_FALSE(t.facts().up_since);
    EXPECT_EQ(t.facts().uptime, 0s);
    EXPECT_EQ(t.facts().last_crash, crashed);
    EXPECT_EQ(t.facts().last_crash_reason, FailureReason::Reset);
    EXPECT_EQ(t.facts().crashes[static_cast<std::size_t>(FailureReason::Reset)], 1U);
    t.advance(30s);
    EXPECT_EQ(t.facts().total_up, 60s);
    EXPECT_EQ(t.facts().total_down, 30s);
    t.pass();
    t.pass();
    EXPECT_EQ(t.facts().last_recovery, t.clock.wall_now());
    EXPECT_EQ(t.facts().up_since, t.clock.wall_now());
    EXPECT_EQ(t.facts().last_crash, crashed) << "kept after the recovery";
    EXPECT_EQ(t.facts().state_changes, 3U);
    ASSERT_TRUE(t.facts().last_check);
    EXPECT_TRUE(t.facts().last_check->ok);
    EXPECT_EQ(t.facts().last_check->detail, "connected");
    EXPECT_EQ(t.facts().last_check->at, t.clock.wall_now());
}

TEST(HealthTracker, GrowsItsWeightAfterARecovery) {
    auto policy = Tracked::plain();
    policy.slow_start = 10s;
    Tracked t(policy);
    EXPECT_EQ(t.tracker.weight_factor(t.clock.now()), 1) << "only when up";
    t.pass();
    EXPECT_DOUBLE_EQ(t.tracker.weight_factor(t.clock.now()), 0.1);
    t.advance(5s);
    EXPECT_DOUBLE_EQ(t.tracker.weight_factor(t.clock.now()), 0.5);
    EXPECT_TRUE(t.tracker.in_slow_start(t.clock.now()));
    t.advance(5s);
    EXPECT_EQ(t.tracker.weight_factor(t.clock.now()), 1);
    t.tracker.eject(FailureReason::HttpStatus, t.now());
    t.advance(10s);
    t.tracker.tick(t.now());
    EXPECT_DOUBLE_EQ(t.tracker.weight_factor(t.clock.now()), 0.1);
}

TEST(HealthTracker, KeepsItsStateWhenReconfigured) {
    Tracked t;
    t.pass();
    t.fail();
    auto policy = Tracked::plain();
    policy.fall = 2;
    policy.interval = 500ms;
    t.tracker.reconfigure(policy, t.now());
    EXPECT_EQ(t.tracker.state(), State::Up);
    EXPECT_LE(t.tracker.next_probe_at(), t.clock.now() + 500ms);
    EXPECT_TRUE(t.fail()) << "the failure before it still counts";
}

}  // namespace
}  // namespace rproxy::backends
