#include "backends/monitor.h"

#include <algorithm>
#include <utility>

namespace rproxy::backends {

namespace {

/// Slow starts grow and failure rates are compared this often.
constexpr std::chrono::milliseconds kTick{500};
constexpr std::uint32_t kTicksPerRateCheck = 20;

/// The check's own port where it has one.
net::SocketAddress check_address(const Backend& backend, const config::HealthCheck& check) {
    if (check.port) {
        const auto endpoint = Endpoint::parse(backend.key().address);
        if (endpoint && !endpoint->is_unix()) {
            if (const auto ip = endpoint->ip()) {
                return {*ip, *check.port};
            }
        }
    }
    return backend.address();
}

/// A reset too: a new host may have the old one's address, or the old one is on its way out.
bool is_unreachable(FailureReason reason) {
    return reason == FailureReason::Refused || reason == FailureReason::Timeout ||
           reason == FailureReason::Reset;
}

}  // namespace

struct Monitor::Watched {
    Watched(Monitor& owner, std::shared_ptr<Backend> watched_backend, const HealthPolicy& policy,
            config::AdminState admin)
        : monitor(owner),
          backend(std::move(watched_backend)),
          tracker(policy, admin, owner.rng_, owner.now()) {}

    void on_timer() { monitor.run_due(*this); }

    Monitor& monitor;
    std::shared_ptr<Backend> backend;
    HealthTracker tracker;
    config::HealthCheck check;
    std::string host;
    std::string pool;
    std::shared_ptr<const tls::ClientContext> tls;
    std::string tls_host;
    tls::SessionCache tls_sessions;  // outlives the probe
    std::unique_ptr<Probe> probe;
    MonotonicTime probe_began;
    metrics::Histogram<metrics::kHealthCheckBounds> durations;
    net::MemberTimer<Watched, &Watched::on_timer> timer{*this};
    bool slow_starting{false};
    bool takes_traffic{true};
    bool on_trial{false};
    Eligibility told{Eligibility::IfNoneUp};  // what the listener has heard of
    // What traffic had done when the last check was due.
    std::uint64_t connections_before{0};
    std::uint64_t answers_before{0};
    // For the failure rate: the totals at the last look.
    std::uint64_t requests_before{0};
    std::uint64_t failures_before{0};
};

Monitor::Monitor(net::EventLoop& loop, std::uint64_t seed, Listener listener)
    : loop_(loop), rng_(seed), listener_(std::move(listener)) {
    loop_.arm(timer_, loop_.now() + kTick);
}

Monitor::~Monitor() = default;

void Monitor::configure(const std::vector<PoolTargets>& pools) {
    std::map<BackendKey, std::unique_ptr<Watched>> next;
    pools_.clear();
    for (const auto& pool : pools) {
        const auto policy = HealthPolicy::of(*pool.config);
        PoolWatch& watch = pools_[pool.config->name];
        watch.outlier = pool.config->outlier;
        for (const auto& target : pool.targets) {
            auto known = watched_.extract(target.backend->key());
            std::unique_ptr<Watched> watched;
            if (known) {
                watched = std::move(known.mapped());
                watched->tracker.reconfigure(policy, now());
                tell(*watched, watched->tracker.set_admin_state(target.admin, now()));
            } else {
                watched = std::make_unique<Watched>(*this, target.backend, policy, target.admin);
            }
            watched->check = pool.config->health_check;
            watched->host = target.host;
            if (watched->tls != target.tls) {
                watched->tls_sessions.clear();
            }
            watched->tls = target.tls;
            watched->tls_host = target.tls_host;
            watched->takes_traffic = target.takes_traffic;
            watched->on_trial = target.on_trial;
            watched->pool = pool.config->name;
            watch.members.push_back(watched.get());
            next[target.backend->key()] = std::move(watched);
        }
    }
    watched_ = std::move(next);
    for (auto& [name, pool] : pools_) {
        lift_holds(pool);
    }
    for (auto& [key, watched] : watched_) {
        schedule(*watched);
    }
}

void Monitor::take_verdicts(const Monitor& other) {
    for (const auto& [key, theirs] : other.watched_) {
        if (const auto found = watched_.find(key); found != watched_.end()) {
            Watched& mine = *found->second;
            report(mine, mine.tracker.take_verdict(theirs->tracker, now()));
        }
    }
}

const HealthTracker* Monitor::find(const BackendKey& key) const {
    const auto found = watched_.find(key);
    return found == watched_.end() ? nullptr : &found->second->tracker;
}

const metrics::Histogram<metrics::kHealthCheckBounds>* Monitor::check_durations(
    const BackendKey& key) const {
    const auto found = watched_.find(key);
    return found == watched_.end() ? nullptr : &found->second->durations;
}

bool Monitor::all_checked() const {
    return std::ranges::all_of(
        watched_, [](const auto& entry) { return entry.second->tracker.was_checked(); });
}

void Monitor::schedule(Watched& watched) {
    const auto next = std::min(watched.tracker.next_probe_at(), watched.tracker.next_wakeup());
    if (next != MonotonicTime::max()) {
        loop_.arm(watched.timer, next);
    }
}

/// Whether traffic has opened a connection and got answers since it was asked last. Looked up in
/// the counters when a check is due, so that requests pay nothing for it.
bool Monitor::served_anew(Watched& watched) {
    std::uint64_t connections = 0;
    std::uint64_t answers = 0;
    for (const auto& cells : watched.backend->all_cells()) {
        connections += cells.connections_total.value();
        metrics::CounterSetSum<metrics::CodeClass> sum;
        sum.add(cells.requests);
        for (const auto value : sum.values()) {
            answers += value;
        }
        answers -= cells.requests[metrics::CodeClass::Error].value();
    }
    const bool connected = std::exchange(watched.connections_before, connections) != connections;
    const bool answered = std::exchange(watched.answers_before, answers) != answers;
    return connected && answered;
}

void Monitor::run_due(Watched& watched) {
    report(watched, watched.tracker.tick(now()));
    if (watched.tracker.next_probe_at() <= loop_.now() &&
        watched.tracker.begin_probe(now(), served_anew(watched)) ==
            HealthTracker::ProbeDecision::Send) {
        watched.probe_began = loop_.now();
        watched.probe = std::make_unique<Probe>(
            loop_, check_address(*watched.backend, watched.check), watched.check, watched.host,
            Probe::Security{watched.tls, watched.tls_host, io_, watched.tls_sessions});
        watched.probe->start([this, &watched](HealthTracker::ProbeResult result) {
            probe_finished(watched, std::move(result));
        });
    }
    schedule(watched);
}

void Monitor::probe_finished(Watched& watched, HealthTracker::ProbeResult result) {
    watched.durations.observe(loop_.now() - watched.probe_began);
    const bool unreachable = result.failure && is_unreachable(*result.failure);
    report(watched, watched.tracker.probe_finished(std::move(result), now()));
    update_suspect(watched);
    watched.probe.reset();
    schedule(watched);
    if (unreachable) {
        listener_.on_unreachable(watched.backend->key());
    }
}

void Monitor::report(Watched& watched, const std::optional<Transition>& transition) {
    if (transition || watched.tracker.eligibility() != watched.told) {
        tell(watched, transition);
        lift_holds(pools_[watched.pool]);
    }
}

void Monitor::tell(Watched& watched, const std::optional<Transition>& transition) {
    const auto present = watched.tracker.eligibility();
    const bool changed = std::exchange(watched.told, present) != present;
    if (transition) {
        watched.slow_starting = watched.tracker.in_slow_start(loop_.now());
        listener_.on_transition(watched.backend->key(), *transition);
    } else if (changed) {
        listener_.on_choice_changed(watched.pool);
    }
}

/// Damping must not make an outage: with nobody up, those whose probes pass are brought up.
void Monitor::lift_holds(PoolWatch& pool) {
    const auto is_up = [](const Watched* member) {
        return member->takes_traffic && member->tracker.state() == State::Up;
    };
    if (std::ranges::any_of(pool.members, is_up)) {
        return;
    }
    for (Watched* member : pool.members) {
        if (member->takes_traffic && member->tracker.state() == State::Down) {
            if (const auto transition = member->tracker.lift_hold(now())) {
                tell(*member, transition);
            }
        }
    }
}

void Monitor::update_suspect(Watched& watched) {
    watched.backend->suspect.store(watched.tracker.is_suspect(), std::memory_order_relaxed);
}

void Monitor::traffic_failed(Backend& backend, FailureReason reason) {
    const auto found = watched_.find(backend.key());
    if (found == watched_.end()) {
        return;
    }
    Watched& watched = *found->second;
    const auto verdict = watched.tracker.traffic_failed(reason, now());
    report(watched, verdict.transition);
    if (verdict.wants_ejection) {
        consider_ejection(watched, reason);
    }
    update_suspect(watched);
    schedule(watched);
    if (is_unreachable(reason)) {
        listener_.on_unreachable(backend.key());
    }
}

void Monitor::traffic_succeeded(Backend& backend) {
    const auto found = watched_.find(backend.key());
    if (found != watched_.end()) {
        found->second->tracker.traffic_succeeded();
        update_suspect(*found->second);
    }
}

void Monitor::consider_ejection(Watched& watched, FailureReason reason) {
    const PoolWatch& pool = pools_[watched.pool];
    OutlierPolicy::PoolView view;
    for (const Watched* member : pool.members) {
        const State state = member->tracker.state();
        if (state == State::Draining || state == State::Disabled) {
            continue;
        }
        if (member->on_trial && !watched.on_trial) {
            continue;  // most requests cannot go there
        }
        ++view.backends;
        view.ejected += state == State::Ejected ? 1U : 0U;
        view.available += member->tracker.is_available() ? 1U : 0U;
    }
    if (OutlierPolicy(pool.outlier).may_eject(view)) {
        report(watched, watched.tracker.eject(reason, now()));
    }
}

void Monitor::tick() {
    tick_slow_starts();
    if (++ticks_ % kTicksPerRateCheck == 0) {
        look_at_failure_rates();
    }
    loop_.arm(timer_, loop_.now() + kTick);
}

void Monitor::tick_slow_starts() {
    for (auto& [name, pool] : pools_) {
        bool changed = false;
        for (Watched* member : pool.members) {
            if (member->slow_starting) {
                member->slow_starting = member->tracker.in_slow_start(loop_.now());
                changed = true;
            }
        }
        if (changed) {
            listener_.on_choice_changed(name);
        }
    }
}

void Monitor::look_at_failure_rates() {
    for (auto& [name, pool] : pools_) {
        std::vector<OutlierPolicy::Sample> samples;
        for (Watched* member : pool.members) {
            std::uint64_t requests = 0;
            std::uint64_t failures = 0;
            for (const auto& cells : member->backend->all_cells()) {
                metrics::CounterSetSum<metrics::CodeClass> sum;
                sum.add(cells.requests);
                for (const auto value : sum.values()) {
                    requests += value;
                }
                failures += cells.requests[metrics::CodeClass::ServerError].value() +
                            cells.requests[metrics::CodeClass::Error].value();
            }
            samples.push_back(
                {requests - member->requests_before, failures - member->failures_before});
            member->requests_before = requests;
            member->failures_before = failures;
        }
        for (const std::size_t index : OutlierPolicy(pool.outlier).outliers(samples)) {
            consider_ejection(*pool.members[index], FailureReason::HttpStatus);
            schedule(*pool.members[index]);
        }
    }
}

}  // namespace rproxy::backends
