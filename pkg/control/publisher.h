#pragma once

#include "backends/monitor.h"
#include "backends/registry.h"
#include "config/issue.h"
#include "config/snapshot.h"
#include "control/backend_names.h"
#include "control/plan_tls.h"
#include "control/workers.h"
#include "net/event_loop.h"
#include "runtime/plan.h"

#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace rproxy::control {

/// Turns Snapshots into Plans and brings them to the workers: looks names up, opens listeners,
/// keeps every backend's health and choice up to date. Everything that can fail fails before the
/// first worker hears of a plan. Control thread only.
class Publisher {
public:
    struct Options {
        std::size_t workers{1};
        std::uint64_t seed{0};
    };
    struct Listener {
        std::function<void(const backends::BackendKey&, const std::string& name,
                           const backends::Transition&)>
            on_transition;
        std::function<void(const std::string& pool, bool all_down)> on_pool_health;
        std::function<void()> on_acknowledged;  ///< Every worker runs on what was published last.
        /// Look-ups of a name among the pool's backends began to fail, or succeed again.
        std::function<void(const std::string& pool, const std::string& host, std::string message)>
            on_name;
    };
    Publisher(net::EventLoop& loop, Workers& workers, const Options& options, Listener listener);
    ~Publisher();
    Publisher(const Publisher&) = delete;
    Publisher& operator=(const Publisher&) = delete;

    /// Makes `snapshot` the running configuration and ends the trial of another, if one goes on;
    /// that may be of this one, which is then promoted, or not, which goes back to what runs. On
    /// failure (an address that cannot be listened on) nothing has changed.
    std::expected<void, std::vector<config::Issue>> publish(
        std::shared_ptr<const config::Snapshot> snapshot, std::uint64_t generation);

    /// Whether the addresses that `snapshot` has and the running configuration does not can be
    /// listened on at this moment.
    bool can_listen(const config::Snapshot& snapshot) const;

    /// Puts `snapshot` on trial beside the running configuration, in the place of another trial:
    /// its new backends are probed at once, its listeners and what concerns whole client
    /// connections apply at once, and its pools and routes take a share of the requests as soon as
    /// set_trial_share() says so. Fails as publish() does.
    std::expected<void, std::vector<config::Issue>> try_out(
        std::shared_ptr<const config::Snapshot> snapshot, std::uint64_t generation);
    /// Only during a trial.
    void set_trial_share(double share);
    /// During a trial its counts; null otherwise.
    std::shared_ptr<const proxy::RolloutCells> trial_cells() const;
    /// Every backend of the trial was probed once and every name looked up once.
    bool trial_checked() const;
    /// Pools of the trial without a healthy backend that the running configuration does not have,
    /// or has with one.
    std::vector<std::string> trial_dead_pools() const;

    struct Refreshed {
        bool changed{false};                ///< Something is new and on its way to the workers.
        std::vector<config::Issue> issues;  ///< Why not all could be used.
    };
    /// Reads the files of the TLS settings again, those of the running configuration and those of
    /// the one on trial each for itself: what cannot be used changes nothing for its own.
    Refreshed refresh_certificates();
    /// What the files of the running configuration came to.
    const tls::Material& material() const { return running_.material; }

    /// The running configuration's; null before the first.
    const std::shared_ptr<const runtime::Plan>& plan() const { return running_.plan; }
    /// Of the configuration on trial; null without one.
    std::shared_ptr<const runtime::Plan> trial_plan() const;
    backends::Monitor& monitor() { return monitor_; }
    const backends::Monitor& monitor() const { return monitor_; }
    /// The present choice of a pool, by its index in the running plan or the one on trial.
    const std::shared_ptr<const runtime::PoolPolicy>& policy(std::size_t pool) const {
        return running_.policies[pool];
    }
    const runtime::PoolPolicy& trial_policy(std::size_t pool) const;
    /// Since when a pool has nothing healthy; nothing while it has.
    std::optional<WallTime> all_down_since(const std::string& pool) const;
    /// Every worker runs on the newest plan.
    bool acknowledged() const { return acknowledged_ == distributed_; }
    /// Every backend was probed once and every name looked up once.
    bool first_checks_done() const;
    const BackendNames& names() const { return names_; }

private:
    struct Interval {
        const backends::Backend* backend{nullptr};  // compared, never followed
        MonotonicTime end;
    };
    /// A configuration with what was made of it.
    struct Published {
        std::shared_ptr<const config::Snapshot> snapshot;
        std::uint64_t generation{0};
        tls::Material material;
        std::shared_ptr<const runtime::Plan> plan;
        std::vector<std::shared_ptr<const runtime::PoolPolicy>> policies;  // empty while made
        std::map<std::string, Interval> intervals;  // of pools with selection by interval
    };
    struct Trial : Published {
        std::shared_ptr<proxy::RolloutCells> cells;
        double share{0};
        /// Pools whose checks, or what the operator wants of whose backends, differ from the
        /// running configuration's: judged apart, so that a wrong check takes no backend from the
        /// requests that are not part of the trial.
        std::set<std::string> judged_apart;
        std::unique_ptr<backends::Monitor> monitor;  // of those pools
    };

    void republish();
    std::shared_ptr<const runtime::Plan> compile(const Published& published,
                                                 std::shared_ptr<runtime::Plan> plan);
    runtime::PoolPlan compile_pool(const config::Snapshot& snapshot, const config::Pool& pool);
    void add_backends(const config::Pool& pool, const config::Backend& backend,
                      runtime::PoolPlan& plan, std::set<std::string>& known);
    std::expected<std::vector<std::vector<proxy::Proxy::Socket>>, std::vector<config::Issue>>
    open_listeners(runtime::Plan& plan, const runtime::Plan* leaving);
    std::expected<std::vector<net::Fd>, std::error_code> bind_for_all(
        const config::Listener& listener, std::uint16_t& port) const;
    void mark_shared(runtime::Plan& trial) const;
    void configure_monitors();
    void make_policies(Published& published);
    void distribute(std::vector<std::vector<proxy::Proxy::Socket>> sockets);
    const backends::Monitor& judge_of(const Published& published, const std::string& pool) const;
    std::shared_ptr<const runtime::PoolPolicy> make_policy(const runtime::PoolPlan& pool,
                                                           Published& published);
    void rebuild_policy(const std::string& name);
    void rebuild_policy(const std::string& name, Published& published);
    void rebuild_stale();
    const std::string& shown_name(const backends::BackendKey& key);
    void note_pool_health(const runtime::PoolPlan& pool, const runtime::PoolPolicy& policy);
    void watch_names();
    void look_up_again(const backends::BackendKey& key);
    /// Counts it against every backend of that name; the pools that have one.
    std::set<std::string> count_look_up_failure(const std::string& host);
    void look_up_failed(const std::string& host, const BackendNames::LookUp& look_up, bool first);
    void look_up_recovered(const std::string& host, const BackendNames::LookUp& look_up);
    void on_transition(const backends::BackendKey& key, const backends::Transition& transition);
    void pin_for_interval(const runtime::PoolPlan& pool, runtime::PoolPolicy& policy,
                          Interval& interval);
    void on_interval();

    net::EventLoop& loop_;
    Workers& workers_;
    const Options options_;
    Listener listener_;
    XoshiroRng rng_;
    backends::Registry registry_;
    backends::Monitor monitor_;
    BackendNames names_;
    PlanTls tls_;
    Published running_;
    std::optional<Trial> trial_;
    std::uint64_t revision_{0};
    std::uint64_t distributed_{0};  // assignments handed out, and the last that all have taken
    std::uint64_t acknowledged_{0};
    std::size_t acknowledgements_{0};
    struct OpenListener {
        std::shared_ptr<runtime::ListenerState> state;
        std::uint16_t port{0};
    };
    std::map<std::string, OpenListener> listeners_;  // by address, as configured
    std::map<std::string, WallTime> all_down_since_;
    MonotonicTime interval_due_{MonotonicTime::max()};
    struct Rebuilds {
        MonotonicTime last{};
        bool stale{false};  // a change since then waits for the timer
    };
    std::map<std::string, Rebuilds> rebuilds_;                 // by pool
    std::map<backends::BackendKey, std::string> shown_names_;  // of revision shown_names_of_
    std::uint64_t shown_names_of_{0};
    net::MemberTimer<Publisher, &Publisher::rebuild_stale> rebuild_timer_{*this};
    net::MemberTimer<Publisher, &Publisher::on_interval> interval_timer_{*this};
};

}  // namespace rproxy::control
