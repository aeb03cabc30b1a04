#pragma once

#include "backends/recent_events.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/rng.h"
#include "base/share.h"
#include "config/snapshot.h"
#include "metrics/labels.h"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace rproxy::backends {

using namespace std::chrono_literals;

/// What is shown of a backend. What the operator asked for (Draining, Disabled) hides what health
/// made of it, and health goes on behind it.
enum class State : std::uint8_t { Unknown, Up, Down, Ejected, Draining, Disabled };
std::string_view to_string(State state);

/// What spoke against a backend. `HealthCheck`: a probe was answered, but wrongly (TLS or protocol
/// errors and unexpected bytes too); `HttpStatus`: a probe or traffic got a failing status.
using FailureReason = metrics::CrashReason;

/// One moment on both clocks: the first for intervals, the second for people.
struct Moment {
    MonotonicTime monotonic;
    WallTime wall;
};

/// A change of what is shown of a backend: one line of the log and of the timeline.
struct Transition {
    State from{State::Unknown};
    State to{State::Unknown};
    /// Static text: a name of FailureReason, or `first_check`, `recovered`, `hold_lifted`,
    /// `ejection_over`, `config`.
    std::string_view reason;
    bool is_crash{false};  ///< Up until now, and out because it failed.
    WallTime at;
    /// Of a backend that went down and has fallen so often of late that it is held down.
    std::optional<WallTime> held_until{};
    std::size_t recent_falls{0};  ///< Within RecentEvents::kWindow, this one included.
};

/// The settings of a pool that concern one backend's health.
struct HealthPolicy {
    std::uint32_t rise{2};  ///< Probes in a row that bring a backend back.
    std::uint32_t fall{3};  ///< Failures in a row that take it out.
    Duration interval{5s};
    Duration timeout{2s};
    Share jitter{percent(20)};
    /// A probe shows no more than traffic that opened a connection and was served.
    bool traffic_proves_health{false};
    std::uint32_t outlier_failures{5};  ///< In a row, of traffic; 0: off.
    Duration ejection_time{10s};
    Duration slow_start{0};

    static HealthPolicy of(const config::Pool& pool);
    friend bool operator==(const HealthPolicy&, const HealthPolicy&) = default;
};

/// Who may be given a request, best first.
enum class Eligibility : std::uint8_t {
    Yes,
    Reserve,     ///< Held down, but its probes pass: for a request that has nobody else left.
    IfNoneUp,    ///< Not yet checked.
    LastResort,  ///< Down or ejected: only for `when_all_down: try_anyway`.
    No,          ///< Draining or disabled.
};

/// The life of one backend as a state machine without I/O: facts and the time go in, transitions
/// and the time of the next probe come out. Kept over reloads, keyed by pool and address. Owner's
/// thread only (control).
///
/// Rules, beyond `rise` and `fall`:
/// - An unknown backend is judged by its first probe: a start must neither wait for `rise`
/// intervals
///   nor send traffic into the dark for `fall` of them, and nobody is surprised either way.
/// - Its second probe follows at a random moment within the interval, so that backends that came
///   together are not probed together for ever.
/// - A refused or reset connection of real traffic counts towards `fall` like a failed probe and
///   makes a probe due at once. Served requests take back only what traffic had shown: a backend
///   that serves while its health path says no is going out by its own wish.
/// - Probes are due each `interval` (give or take the jitter) after the last one was *due*: neither
///   their duration nor a stall of this process changes the rate or marches backends in step.
/// - While a verdict is pending, probes come five times as fast, so that it is reached in a second
///   or two and not in `fall` intervals.
/// - A probe whose result comes later than its own timeout allows shows that *we* were late. It
///   counts as an overrun and against nobody.
/// - Whoever falls for the third time within ten minutes is held down for a time that doubles with
///   each fall: flapping hurts more than one backend less. It must not hurt more than the flapping,
///   so once `rise` probes passed the backend is in reserve, for requests that have nobody else
///   left; and when nobody else is up at all, lift_hold() ends it.
class HealthTracker {
public:
    /// `rng` must outlive it. The first probe is due at once.
    HealthTracker(const HealthPolicy& policy, config::AdminState admin, Rng& rng, Moment now);

    // Probes. One at a time; the caller sends, times out and reports.

    /// When the next probe is due; never (max) while one is under way.
    MonotonicTime next_probe_at() const;
    enum class ProbeDecision : std::uint8_t { Send, SkippedByTraffic };
    /// Call it when a probe is due. Send: report the outcome with probe_finished().
    /// `served_anew`: since the last one was due, traffic opened a connection to the backend and
    /// got answers from it.
    ProbeDecision begin_probe(Moment now, bool served_anew = false);
    struct ProbeResult {
        std::optional<FailureReason> failure;  ///< Nothing: it passed.
        std::string detail;                    ///< For people: `connected`, `status 503`.
    };
    std::optional<Transition> probe_finished(ProbeResult result, Moment now);

    // What traffic shows; may be told late and in batches.

    struct TrafficVerdict {
        std::optional<Transition> transition;
        bool wants_ejection{false};  ///< Ask OutlierPolicy, then eject().
    };
    TrafficVerdict traffic_failed(FailureReason reason, Moment now);
    void traffic_succeeded();
    /// Failures of traffic are on record, which a success would clear.
    bool is_suspect() const { return traffic_failures_ > 0 || outlier_streak_ > 0; }

    // Outliers. Only a backend that is up can be ejected; anything else is left alone.

    std::optional<Transition> eject(FailureReason reason, Moment now);
    /// Ends an ejection whose time is over. Call it at next_wakeup().
    std::optional<Transition> tick(Moment now);
    MonotonicTime next_wakeup() const;

    // Configuration.

    std::optional<Transition> set_admin_state(config::AdminState admin, Moment now);
    void reconfigure(const HealthPolicy& policy, Moment now);
    /// From now on it is up or down as `other` has found, which checked it with these settings
    /// while this one still had others. That is no crash. Who is held down stays so.
    std::optional<Transition> take_verdict(const HealthTracker& other, Moment now);

    // What it comes to.

    State state() const;
    Eligibility eligibility() const;
    /// In rotation but for what the operator says: up and not ejected.
    bool is_available() const { return health_ == Health::Up && !ejected_until_; }
    bool was_checked() const { return health_ != Health::Unknown; }
    /// 1, or less while it grows linearly from a tenth over `slow_start` since the last recovery.
    double weight_factor(MonotonicTime now) const;
    bool in_slow_start(MonotonicTime now) const { return weight_factor(now) < 1; }
    /// Until when good probes will not bring it up; only while it is down.
    std::optional<MonotonicTime> held_until() const;
    /// In reserve: nothing but the hold keeps it from being up.
    bool is_held_back() const;
    /// Brings up one who is held back: nobody else is up. Anyone else is left alone.
    std::optional<Transition> lift_hold(Moment now);
    std::optional<MonotonicTime> ejected_until() const { return ejected_until_; }
    /// Falls within the last ten minutes.
    std::size_t recent_falls(MonotonicTime now) const { return falls_.count(now); }

    struct Check {
        WallTime at;
        bool ok{false};
        std::string detail;
    };
    /// For metrics and the status page. Draining and disabling change none of it: a healthy backend
    /// that is drained is still up, and one that then goes away has not crashed.
    struct Facts {
        std::optional<WallTime> up_since;  ///< Only while up and not ejected.
        MonotonicTime::duration uptime{0};
        MonotonicTime::duration total_up{0};
        MonotonicTime::duration total_down{0};
        std::optional<WallTime> last_crash;
        std::optional<FailureReason> last_crash_reason;
        std::array<std::uint64_t, metrics::kCrashReasonNames.size()> crashes{};
        std::optional<WallTime> last_recovery;
        std::uint64_t state_changes{0};
        std::array<std::uint64_t, metrics::kHealthCheckResultNames.size()> checks{};
        std::optional<Check> last_check;
    };
    Facts facts(MonotonicTime now) const;

private:
    enum class Health : std::uint8_t { Unknown, Up, Down };
    struct Before {
        State state;
        bool available;
        bool checked;
    };

    Before before() const { return {state(), is_available(), was_checked()}; }
    std::optional<Transition> report(const Before& before, std::string_view reason,
                                     std::optional<FailureReason> failure, Moment now);
    void probe_passed(Moment now);
    void count_failure(Moment now);
    void go_down();
    void come_up();
    void schedule_probe(Duration interval, MonotonicTime now);
    Duration next_interval();
    bool verdict_pending() const;
    Duration fast_interval() const;
    void count_check(metrics::HealthCheckResult result);

    HealthPolicy policy_;
    config::AdminState admin_;
    Rng& rng_;
    Health health_{Health::Unknown};

    std::uint32_t probe_successes_{0};   ///< In a row.
    std::uint32_t probe_failures_{0};    ///< In a row.
    std::uint32_t traffic_failures_{0};  ///< Refused and reset, in a row.
    std::uint32_t outlier_streak_{0};    ///< All failures of traffic, in a row.

    MonotonicTime next_probe_;                    ///< Of one under way, when it was due.
    std::optional<MonotonicTime> probe_started_;  ///< Only while one is under way.
    std::optional<MonotonicTime> last_probe_;

    std::optional<MonotonicTime> ejected_until_;
    RecentEvents ejections_;
    std::optional<MonotonicTime> held_until_;
    RecentEvents falls_;

    MonotonicTime since_;  ///< Of the current availability.
    Facts facts_;          ///< Without the running time since `since_`.
};

}  // namespace rproxy::backends
