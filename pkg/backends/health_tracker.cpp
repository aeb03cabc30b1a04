#include "backends/health_tracker.h"

#include <algorithm>
#include <utility>

namespace rproxy::backends {

namespace {

/// Between two probes that were asked for at once, and the least of the fast interval: five probes
/// a second are no load for anybody, and a hail of failing requests must not become one of probes.
constexpr Duration kLeastGap = 200ms;
constexpr int kFastDivisor = 5;
constexpr Duration kLeastBeat = 1ms;

/// As many falls in the window are forgiven; then the hold-down begins and doubles.
constexpr std::size_t kForgivenFalls = 2;
constexpr Duration kFirstHold = 10s;
constexpr Duration kLongestHold = 2min;
constexpr Duration kLongestEjection = 5min;
constexpr double kFirstWeight = 0.1;

Duration hold_after(std::size_t falls) {
    if (falls <= kForgivenFalls) {
        return 0s;
    }
    Duration hold = kFirstHold;
    for (auto extra = falls - kForgivenFalls - 1; extra > 0 && hold < kLongestHold; --extra) {
        hold *= 2;
    }
    return std::min(hold, kLongestHold);
}

std::string_view name_of(FailureReason reason) {
    return metrics::kCrashReasonNames[static_cast<std::size_t>(reason)];
}

}  // namespace

std::string_view to_string(State state) {
    switch (state) {
        case State::Unknown:
            return "unknown";
        case State::Up:
            return "up";
        case State::Down:
            return "down";
        case State::Ejected:
            return "ejected";
        case State::Draining:
            return "draining";
        case State::Disabled:
            break;
    }
    return "disabled";
}

HealthPolicy HealthPolicy::of(const config::Pool& pool) {
    const auto& check = pool.health_check;
    return {.rise = check.rise,
            .fall = check.fall,
            .interval = check.interval,
            .timeout = check.timeout,
            .jitter = check.jitter,
            // A connect to the port that serves shows less than an answer from it.
            .traffic_proves_health = !check.path && !check.port,
            .outlier_failures = pool.outlier.consecutive_failures,
            .ejection_time = pool.outlier.ejection_time,
            .slow_start = pool.slow_start};
}

HealthTracker::HealthTracker(const HealthPolicy& policy, config::AdminState admin, Rng& rng,
                             Moment now)
    : policy_(policy),
      admin_(admin),
      rng_(rng),
      next_probe_(now.monotonic),
      since_(now.monotonic) {}

MonotonicTime HealthTracker::next_probe_at() const {
    return probe_started_ ? MonotonicTime::max() : next_probe_;
}

HealthTracker::ProbeDecision HealthTracker::begin_probe(Moment now, bool served_anew) {
    if (served_anew && policy_.traffic_proves_health && is_available() && !verdict_pending() &&
        !is_suspect()) {
        count_check(metrics::HealthCheckResult::SkippedByTraffic);
        facts_.last_check = Check{now.wall, true, "shown by traffic"};
        schedule_probe(next_interval(), now.monotonic);
        return ProbeDecision::SkippedByTraffic;
    }
    probe_started_ = now.monotonic;
    last_probe_ = now.monotonic;
    return ProbeDecision::Send;
}

std::optional<Transition> HealthTracker::probe_finished(ProbeResult result, Moment now) {
    const auto started = std::exchange(probe_started_, std::nullopt);
    const auto slack = std::max<Duration>(policy_.timeout / 10, 50ms);
    if (started && now.monotonic - *started > policy_.timeout + slack) {
        count_check(metrics::HealthCheckResult::Overrun);
        next_probe_ = now.monotonic + fast_interval();
        return std::nullopt;
    }
    const auto was = before();
    const auto failure = result.failure;
    const bool first = health_ == Health::Unknown;
    facts_.last_check = Check{now.wall, !failure, std::move(result.detail)};
    count_check(failure ? metrics::HealthCheckResult::Failure
                        : metrics::HealthCheckResult::Success);
    if (failure) {
        probe_successes_ = 0;
        ++probe_failures_;
        count_failure(now);
    } else {
        probe_passed(now);
    }
    if (first && health_ != Health::Unknown) {
        // The backends of a file are first probed together. Jitter alone would take many intervals
        // to part them.
        schedule_probe(std::chrono::ceil<Duration>(policy_.interval * (1 - rng_.unit())),
                       now.monotonic);
    } else {
        schedule_probe(next_interval(), now.monotonic);
    }
    if (failure) {
        return report(was, name_of(*failure), failure, now);
    }
    return report(was, first ? "first_check" : "recovered", std::nullopt, now);
}

void HealthTracker::probe_passed(Moment now) {
    probe_failures_ = 0;
    traffic_failures_ = 0;
    if (health_ == Health::Up) {
        return;
    }
    ++probe_successes_;
    const bool held = held_until_ && now.monotonic < *held_until_;
    if (health_ == Health::Unknown || (probe_successes_ >= policy_.rise && !held)) {
        come_up();
    }
}

/// After one more failure of either kind.
void HealthTracker::count_failure(Moment now) {
    if (health_ == Health::Unknown) {
        if (probe_failures_ > 0 || traffic_failures_ >= policy_.fall) {
            go_down();
        }
    } else if (health_ == Health::Up && probe_failures_ + traffic_failures_ >= policy_.fall) {
        falls_.add(now.monotonic);
        go_down();
        if (const auto hold = hold_after(falls_.count(now.monotonic)); hold > 0s) {
            held_until_ = now.monotonic + hold;
        }
    }
}

void HealthTracker::go_down() {
    health_ = Health::Down;
    ejected_until_.reset();
    probe_successes_ = 0;
    probe_failures_ = 0;
    traffic_failures_ = 0;
    outlier_streak_ = 0;
}

void HealthTracker::come_up() {
    health_ = Health::Up;
    held_until_.reset();
    probe_successes_ = 0;
    traffic_failures_ = 0;
    outlier_streak_ = 0;
}

HealthTracker::TrafficVerdict HealthTracker::traffic_failed(FailureReason reason, Moment now) {
    const bool unreachable = reason == FailureReason::Refused || reason == FailureReason::Reset;
    if (health_ == Health::Down) {
        if (unreachable) {
            probe_successes_ = 0;  // in reserve no more
        }
        return {};  // known; its probes decide
    }
    const auto was = before();
    ++outlier_streak_;
    if (unreachable) {
        ++traffic_failures_;
        count_failure(now);
    }
    // A failing status shows that the backend is there; probing it at once would tell nothing new.
    if (reason != FailureReason::HttpStatus && health_ != Health::Down) {
        const auto earliest =
            last_probe_ ? std::max(now.monotonic, *last_probe_ + kLeastGap) : now.monotonic;
        next_probe_ = std::min(next_probe_, earliest);
    }
    TrafficVerdict verdict{.transition = report(was, name_of(reason), reason, now)};
    verdict.wants_ejection = is_available() && policy_.outlier_failures > 0 &&
                             outlier_streak_ >= policy_.outlier_failures;
    return verdict;
}

void HealthTracker::traffic_succeeded() {
    traffic_failures_ = 0;
    outlier_streak_ = 0;
}

std::optional<Transition> HealthTracker::eject(FailureReason reason, Moment now) {
    if (!is_available()) {
        return std::nullopt;
    }
    const auto was = before();
    ejections_.add(now.monotonic);
    const auto times = static_cast<Duration::rep>(ejections_.count(now.monotonic));
    const auto longest = std::max(policy_.ejection_time, kLongestEjection);
    ejected_until_ = now.monotonic + std::min(policy_.ejection_time * times, longest);
    return report(was, name_of(reason), reason, now);
}

std::optional<Transition> HealthTracker::tick(Moment now) {
    if (!ejected_until_ || now.monotonic < *ejected_until_) {
        return std::nullopt;
    }
    const auto was = before();
    ejected_until_.reset();
    come_up();
    return report(was, "ejection_over", std::nullopt, now);
}

MonotonicTime HealthTracker::next_wakeup() const {
    return std::min(next_probe_at(), ejected_until_.value_or(MonotonicTime::max()));
}

std::optional<Transition> HealthTracker::set_admin_state(config::AdminState admin, Moment now) {
    const auto was = before();
    admin_ = admin;
    return report(was, "config", std::nullopt, now);
}

void HealthTracker::reconfigure(const HealthPolicy& policy, Moment now) {
    policy_ = policy;
    if (next_probe_ > now.monotonic + policy_.interval * (1 + policy_.jitter.fraction)) {
        // The interval has become shorter for everybody: again spread over it.
        next_probe_ = now.monotonic + std::chrono::ceil<MonotonicTime::duration>(policy_.interval *
                                                                                 (1 - rng_.unit()));
    }
}

std::optional<Transition> HealthTracker::take_verdict(const HealthTracker& other, Moment now) {
    if (!other.was_checked() || other.health_ == health_ || held_until()) {
        return std::nullopt;
    }
    const auto was = before();
    if (other.health_ == Health::Up) {
        come_up();
        probe_failures_ = 0;
    } else {
        go_down();
    }
    return report(was, "config", std::nullopt, now);
}

State HealthTracker::state() const {
    if (admin_ != config::AdminState::Up) {
        return admin_ == config::AdminState::Drain ? State::Draining : State::Disabled;
    }
    if (ejected_until_) {
        return State::Ejected;
    }
    switch (health_) {
        case Health::Unknown:
            return State::Unknown;
        case Health::Up:
            return State::Up;
        case Health::Down:
            break;
    }
    return State::Down;
}

bool HealthTracker::is_held_back() const {
    return health_ == Health::Down && held_until_ && probe_successes_ >= policy_.rise;
}

std::optional<Transition> HealthTracker::lift_hold(Moment now) {
    if (!is_held_back()) {
        return std::nullopt;
    }
    const auto was = before();
    come_up();
    return report(was, "hold_lifted", std::nullopt, now);
}

Eligibility HealthTracker::eligibility() const {
    switch (state()) {
        case State::Up:
            return Eligibility::Yes;
        case State::Unknown:
            return Eligibility::IfNoneUp;
        case State::Down:
            return is_held_back() ? Eligibility::Reserve : Eligibility::LastResort;
        case State::Ejected:
            return Eligibility::LastResort;
        case State::Draining:
        case State::Disabled:
            break;
    }
    return Eligibility::No;
}

double HealthTracker::weight_factor(MonotonicTime now) const {
    if (policy_.slow_start <= 0s || !is_available() || now - since_ >= policy_.slow_start) {
        return 1;
    }
    using Seconds = std::chrono::duration<double>;
    return std::max(kFirstWeight, Seconds(now - since_) / Seconds(policy_.slow_start));
}

std::optional<MonotonicTime> HealthTracker::held_until() const {
    return health_ == Health::Down ? held_until_ : std::nullopt;
}

HealthTracker::Facts HealthTracker::facts(MonotonicTime now) const {
    Facts facts = facts_;
    if (is_available()) {
        facts.uptime = now - since_;
        facts.total_up += now - since_;
    } else if (was_checked()) {
        facts.total_down += now - since_;
    }
    return facts;
}

/// Keeps the facts in line with what has just changed; the change that is to be told, if any.
std::optional<Transition> HealthTracker::report(const Before& before, std::string_view reason,
                                                std::optional<FailureReason> failure, Moment now) {
    const bool available = is_available();
    const bool is_crash =
        before.available && !available && failure && admin_ == config::AdminState::Up;
    if (before.available != available || before.checked != was_checked()) {
        (before.available ? facts_.total_up : facts_.total_down) +=
            before.checked ? now.monotonic - since_ : MonotonicTime::duration{0};
        since_ = now.monotonic;
        facts_.up_since = available ? std::optional(now.wall) : std::nullopt;
        if (available && before.checked) {
            facts_.last_recovery = now.wall;
        }
    }
    if (is_crash) {
        ++facts_.crashes[static_cast<std::size_t>(*failure)];
        facts_.last_crash = now.wall;
        facts_.last_crash_reason = failure;
    }
    const auto after = state();
    if (after == before.state) {
        return std::nullopt;
    }
    ++facts_.state_changes;
    Transition transition{before.state, after, reason, is_crash, now.wall};
    if (after == State::Down && held_until_) {
        transition.held_until =
            now.wall + std::chrono::duration_cast<WallTime::duration>(*held_until_ - now.monotonic);
        transition.recent_falls = falls_.count(now.monotonic);
    }
    return transition;
}

/// Between two verdicts something has begun to speak for another one.
bool HealthTracker::verdict_pending() const {
    switch (health_) {
        case Health::Unknown:
            return true;
        case Health::Up:
            return probe_failures_ + traffic_failures_ > 0;
        case Health::Down:
            break;
    }
    return probe_successes_ > 0 && probe_successes_ < policy_.rise;
}

Duration HealthTracker::fast_interval() const {
    return std::min(policy_.interval, std::max(policy_.interval / kFastDivisor, kLeastGap));
}

/// What is to pass from one probe to the next, with its jitter.
Duration HealthTracker::next_interval() {
    const auto interval = verdict_pending() ? fast_interval() : policy_.interval;
    const double spread = policy_.jitter.fraction * ((2 * rng_.unit()) - 1);
    return std::chrono::ceil<Duration>(interval * (1 + spread));
}

void HealthTracker::schedule_probe(Duration interval, MonotonicTime now) {
    next_probe_ += interval;
    if (next_probe_ <= now) {
        // What was missed is not made up for, and the beat goes on.
        const auto beat = std::max<MonotonicTime::duration>(interval, kLeastBeat);
        next_probe_ += ((now - next_probe_) / beat + 1) * beat;
    }
    if (is_held_back()) {
        next_probe_ = std::min(next_probe_, std::max(*held_until_, now));
    }
}

void HealthTracker::count_check(metrics::HealthCheckResult result) {
    ++facts_.checks[static_cast<std::size_t>(result)];
}

}  // namespace rproxy::backends
