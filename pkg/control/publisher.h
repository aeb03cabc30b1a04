#pragma once

#include "backends/monitor.h"
#include "backends/registry.h"
#include "config/issue.h"
#include "config/snapshot.h"
#include "control/workers.h"
#include "net/event_loop.h"
#include "net/resolver.h"
#include "runtime/plan.h"

#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
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
        Duration drain_timeout{0};
    };
    struct Listener {
        std::function<void(const backends::BackendKey&, const std::string& name,
                           const backends::Transition&)>
            on_transition;
        std::function<void(const std::string& pool, bool all_down)> on_pool_health;
    };
    Publisher(net::EventLoop& loop, Workers& workers, const Options& options, Listener listener);
    ~Publisher();
    Publisher(const Publisher&) = delete;
    Publisher& operator=(const Publisher&) = delete;

    /// Makes `snapshot` the running configuration. On failure (an address that cannot be listened
    /// on) nothing has changed.
    std::expected<void, std::vector<config::Issue>> publish(
        std::shared_ptr<const config::Snapshot> snapshot, std::uint64_t generation);

    const std::shared_ptr<const runtime::Plan>& plan() const { return plan_; }
    backends::Monitor& monitor() { return monitor_; }
    const backends::Monitor& monitor() const { return monitor_; }
    /// The present choice of a pool, by its index in the plan.
    const runtime::PoolPolicy& policy(std::size_t pool) const { return *policies_[pool]; }
    /// Since when a pool has nothing healthy; nothing while it has.
    std::optional<WallTime> all_down_since(const std::string& pool) const;
    /// Every worker runs on the newest plan.
    bool acknowledged() const { return acknowledged_revision_ == revision_; }
    /// Every backend was probed once and every name looked up once.
    bool first_checks_done() const;

private:
    struct Name {
        std::vector<IpAddress> addresses;
        bool answered{false};
        bool looking{false};
        bool failing{false};
        bool wanted{false};  // by a pool looked at so far, while they are collected
        Duration interval{5'000};
        MonotonicTime next;
    };

    void republish();
    runtime::PoolPlan compile_pool(const config::Pool& pool);
    void add_backends(const config::Pool& pool, const config::Backend& backend,
                      runtime::PoolPlan& plan);
    std::expected<std::vector<std::vector<proxy::Proxy::Socket>>, std::vector<config::Issue>>
    open_listeners(runtime::Plan& plan);
    std::expected<std::vector<net::Fd>, std::error_code> bind_for_all(
        const config::Listener& listener, std::uint16_t& port) const;
    void distribute(const std::shared_ptr<runtime::Plan>& plan,
                    std::vector<std::vector<proxy::Proxy::Socket>> sockets);
    std::shared_ptr<const runtime::PoolPolicy> make_policy(const runtime::PoolPlan& pool);
    void rebuild_policy(const std::string& name);
    void note_pool_health(const runtime::PoolPlan& pool, const runtime::PoolPolicy& policy);
    void collect_names(const config::Snapshot& snapshot);
    void resolve_due();
    void resolved(const std::string& host, net::Resolver::Result result);
    void on_transition(const backends::BackendKey& key, const backends::Transition& transition);
    void pin_for_interval(const runtime::PoolPlan& pool, runtime::PoolPolicy& policy);
    void on_interval();

    net::EventLoop& loop_;
    Workers& workers_;
    const Options options_;
    Listener listener_;
    XoshiroRng rng_;
    backends::Registry registry_;
    backends::Monitor monitor_;
    net::Resolver resolver_;
    std::shared_ptr<const config::Snapshot> snapshot_;
    std::shared_ptr<const runtime::Plan> plan_;
    std::uint64_t generation_{0};
    std::uint64_t revision_{0};
    std::uint64_t acknowledged_revision_{0};
    std::size_t acknowledgements_{0};
    std::vector<std::shared_ptr<const runtime::PoolPolicy>> policies_;
    struct OpenListener {
        std::shared_ptr<runtime::ListenerState> state;
        std::uint16_t port{0};
    };
    std::map<std::string, OpenListener> listeners_;  // by address, as configured
    std::map<std::string, Name> names_;
    std::map<std::string, WallTime> all_down_since_;
    struct Interval {
        const backends::Backend* backend{nullptr};  // compared, never followed
        MonotonicTime end;
    };
    std::map<std::string, Interval> intervals_;  // of pools with selection by interval
    MonotonicTime interval_due_{MonotonicTime::max()};
    net::MemberTimer<Publisher, &Publisher::resolve_due> resolve_timer_{*this};
    net::MemberTimer<Publisher, &Publisher::on_interval> interval_timer_{*this};
};

}  // namespace rproxy::control
