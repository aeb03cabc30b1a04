#pragma once

#include "backends/backend.h"
#include "backends/health_tracker.h"
#include "backends/outlier_policy.h"
#include "backends/probe.h"
#include "base/clock.h"
#include "base/rng.h"
#include "config/snapshot.h"
#include "metrics/bounds.h"
#include "metrics/cell.h"
#include "net/event_loop.h"
#include "tls/client_context.h"
#include "tls/io.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace rproxy::backends {

/// The health of every configured backend: sends probes when they are due, hears what traffic sees,
/// keeps a HealthTracker for each and tells of changes. State stays with a backend over reloads, by
/// pool and address. Control thread only.
class Monitor {
public:
    struct Target {
        std::shared_ptr<Backend> backend;
        config::AdminState admin{config::AdminState::Up};
        std::string host;          ///< For the Host field of checks: host:port as configured.
        bool takes_traffic{true};  ///< Weight above 0.
        bool on_trial{false};      ///< Takes requests of a configuration on trial only.
        std::shared_ptr<const tls::ClientContext> tls{};  ///< Null: in plain.
        std::string tls_host{};                           ///< Whom it asks for.
    };
    struct PoolTargets {
        const config::Pool* config{nullptr};
        std::vector<Target> targets;
    };
    struct Listener {
        /// A backend's state changed (its pool's choice with it).
        std::function<void(const BackendKey&, const Transition&)> on_transition;
        /// The choice among a pool's backends changed without a transition: weights of a slow
        /// start, or who is in reserve.
        std::function<void(const std::string& pool)> on_choice_changed;
        /// A probe or traffic could not connect: whoever had the address may have another by now.
        std::function<void(const BackendKey&)> on_unreachable;
    };

    Monitor(net::EventLoop& loop, std::uint64_t seed, Listener listener);
    ~Monitor();
    Monitor(const Monitor&) = delete;
    Monitor& operator=(const Monitor&) = delete;

    /// From now on these are the backends. Known ones go on where they are, new ones are probed at
    /// once, missing ones are forgotten.
    void configure(const std::vector<PoolTargets>& pools);

    /// Backends that `other` watched with the settings that are now this one's are up or down as
    /// it has found.
    void take_verdicts(const Monitor& other);

    void traffic_failed(Backend& backend, FailureReason reason);
    void traffic_succeeded(Backend& backend);

    /// Null if the backend is not configured.
    const HealthTracker* find(const BackendKey& key) const;
    /// Every configured backend was checked at least once.
    bool all_checked() const;
    /// Durations of the checks of one backend; null as find().
    const metrics::Histogram<metrics::kHealthCheckBounds>* check_durations(
        const BackendKey& key) const;

private:
    struct Watched;
    struct PoolWatch {
        config::Outlier outlier;
        std::vector<Watched*> members;
    };

    Moment now() const { return {loop_.now(), loop_.wall_now()}; }
    void tick();
    void schedule(Watched& watched);
    void run_due(Watched& watched);
    void probe_finished(Watched& watched, HealthTracker::ProbeResult result);
    void report(Watched& watched, const std::optional<Transition>& transition);
    void tell(Watched& watched, const std::optional<Transition>& transition);
    void lift_holds(PoolWatch& pool);
    static bool served_anew(Watched& watched);
    void consider_ejection(Watched& watched, FailureReason reason);
    void update_suspect(Watched& watched);
    void look_at_failure_rates();
    void tick_slow_starts();

    net::EventLoop& loop_;
    tls::Io io_{loop_};
    XoshiroRng rng_;
    Listener listener_;
    std::map<BackendKey, std::unique_ptr<Watched>> watched_;
    std::map<std::string, PoolWatch> pools_;
    net::MemberTimer<Monitor, &Monitor::tick> timer_{*this};
    std::uint32_t ticks_{0};
};

}  // namespace rproxy::backends
