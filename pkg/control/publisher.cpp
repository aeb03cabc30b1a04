#include "control/publisher.h"

#include "balancing/policy.h"
#include "base/hash.h"
#include "control/sticky_value.h"
#include "log/log.h"
#include "net/socket.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace rproxy::control {

namespace {

/// Slow start needs finer steps than whole weights.
constexpr double kSlowStartScale = 100;

/// Between two choices of a large pool, for each of its backends: about what making one takes, so
/// 50 ms for ten thousand. A pool of so few is never made to wait.
constexpr std::chrono::microseconds kRebuildPause{5};
constexpr std::size_t kSmallPool = 256;

}  // namespace

Publisher::Publisher(net::EventLoop& loop, Workers& workers, const Options& options,
                     Listener listener)
    : loop_(loop),
      workers_(workers),
      options_(options),
      listener_(std::move(listener)),
      rng_(options.seed),
      registry_(options.workers, options.seed + 1),
      monitor_(loop, options.seed + 2,
               {[this](const auto& key, const auto& transition) { on_transition(key, transition); },
                [this](const std::string& pool) { rebuild_policy(pool); },
                [this](const backends::BackendKey& key) { look_up_again(key); }}),
      names_(loop,
             {[this] { republish(); },
              [this](const auto& host, const auto& look_up, bool first) {
                  look_up_failed(host, look_up, first);
              },
              [this](const auto& host, const auto& look_up) { look_up_recovered(host, look_up); }}),
      tls_(loop, [this] { republish(); }) {}

Publisher::~Publisher() = default;

std::expected<void, std::vector<config::Issue>> Publisher::publish(
    std::shared_ptr<const config::Snapshot> snapshot, std::uint64_t generation) {
    auto material = tls_.load(*snapshot, trial_ ? trial_->material : running_.material,
                              running_.generation == 0);
    if (!material && snapshot == running_.snapshot) {
        material = running_.material;  // back from a trial: what it is made of is here
    }
    if (!material) {
        return std::unexpected{std::move(material.error())};
    }
    auto plan = std::make_shared<runtime::Plan>();
    plan->snapshot = std::move(snapshot);
    plan->generation = generation;
    auto sockets = open_listeners(*plan, nullptr);
    if (!sockets) {
        return std::unexpected{std::move(sockets.error())};
    }
    // Nothing can fail any more. What a trial brought is kept until the promoted plan has it.
    const auto trial = std::exchange(trial_, std::nullopt);
    running_.snapshot = plan->snapshot;
    running_.generation = generation;
    running_.material = std::move(*material);
    running_.policies.clear();
    watch_names();
    running_.plan = compile(running_, std::move(plan));
    configure_monitors();
    if (trial && trial->monitor != nullptr && trial->snapshot == running_.snapshot) {
        monitor_.take_verdicts(*trial->monitor);  // promoted by them
    }
    make_policies(running_);
    distribute(std::move(*sockets));
    const auto is_gone = [this](const auto& entry) {
        return std::ranges::find(running_.snapshot->pools, entry.first, &config::Pool::name) ==
               running_.snapshot->pools.end();
    };
    std::erase_if(all_down_since_, is_gone);
    std::erase_if(rebuilds_, is_gone);
    names_.look_up_due();
    return {};
}

Publisher::Refreshed Publisher::refresh_certificates() {
    Refreshed refreshed;
    if (!running_.plan) {
        return refreshed;
    }
    const auto refresh = [&](Published& published) {
        auto material =
            tls_.load(*published.snapshot, published.material, running_.generation == 0);
        if (!material) {
            // A file of both is reported once.
            if (refreshed.issues.empty()) {
                refreshed.issues = std::move(material.error());
            }
            return;
        }
        refreshed.changed = refreshed.changed || published.material.differs(*material);
        published.material = std::move(*material);
    };
    refresh(running_);
    if (trial_) {
        refresh(*trial_);
    }
    if (refreshed.changed) {
        republish();
    }
    return refreshed;
}

/// The same configuration with other addresses behind its names.
void Publisher::republish() {
    const auto again = [this](Published& published) {
        auto plan = std::make_shared<runtime::Plan>();
        plan->snapshot = published.snapshot;
        plan->generation = published.generation;
        plan->listeners = published.plan->listeners;
        plan->leaving = published.plan->leaving;
        published.policies.clear();
        published.plan = compile(published, std::move(plan));
    };
    again(running_);
    if (trial_) {
        again(*trial_);
    }
    configure_monitors();
    make_policies(running_);
    if (trial_) {
        make_policies(*trial_);
    }
    distribute(std::vector<std::vector<proxy::Proxy::Socket>>(workers_.size()));
}

/// One socket for each worker. `port` is what to bind and becomes what was bound: where the
/// configuration says 0, the first worker's port is everybody's.
std::expected<std::vector<net::Fd>, std::error_code> Publisher::bind_for_all(
    const config::Listener& listener, std::uint16_t& port) const {
    std::vector<net::Fd> fds;
    while (fds.size() < workers_.size()) {
        Endpoint endpoint = listener.address;
        endpoint.port = port;
        const auto address = net::SocketAddress::of(endpoint);
        if (!address) {
            return std::unexpected{std::make_error_code(std::errc::invalid_argument)};
        }
        // A unix path can be bound once only; its workers share the socket.
        auto fd = endpoint.is_unix() && !fds.empty() ? net::duplicate(fds.front())
                                                     : net::listen_on(*address, listener.backlog);
        if (!fd) {
            return std::unexpected{fd.error()};
        }
        port = endpoint.is_unix() ? std::uint16_t{0} : net::local_port(fd->get());
        fds.push_back(std::move(*fd));
    }
    return fds;
}

bool Publisher::can_listen(const config::Snapshot& snapshot) const {
    return std::ranges::all_of(snapshot.listeners, [this](const auto& listener) {
        std::uint16_t port = listener.address.port;
        return listeners_.contains(listener.address.to_string()) ||
               bind_for_all(listener, port).has_value();
    });
}

std::expected<std::vector<std::vector<proxy::Proxy::Socket>>, std::vector<config::Issue>>
Publisher::open_listeners(runtime::Plan& plan, const runtime::Plan* leaving) {
    std::vector<std::vector<proxy::Proxy::Socket>> sockets(workers_.size());
    std::vector<config::Issue> issues;
    std::map<std::string, OpenListener> listeners;
    for (std::size_t i = 0; i < plan.snapshot->listeners.size(); ++i) {
        const auto& listener = plan.snapshot->listeners[i];
        const std::string address = listener.address.to_string();
        const auto known = listeners_.find(address);
        OpenListener open{nullptr, listener.address.port};
        if (known != listeners_.end()) {
            open = known->second;
        } else if (auto fds = bind_for_all(listener, open.port)) {
            for (std::size_t worker = 0; worker < fds->size(); ++worker) {
                sockets[worker].push_back({address, std::move((*fds)[worker])});
            }
        } else {
            issues.push_back({0, 0, "listeners[" + std::to_string(i) + "].address",
                              "cannot listen on " + address + ": " + fds.error().message(),
                              "choose an address of this host with a free port"});
        }
        if (open.state == nullptr || open.state->name != listener.name) {
            open.state = std::make_shared<runtime::ListenerState>(listener.name, workers_.size());
        }
        listeners[address] = open;
        plan.listeners.push_back({listener, open.port, open.state, nullptr});
    }
    if (!issues.empty()) {
        return std::unexpected{std::move(issues)};
    }
    for (const auto& listener :
         leaving == nullptr ? std::vector<runtime::ListenerPlan>{} : leaving->listeners) {
        const std::string address = listener.config.address.to_string();
        if (listeners.emplace(address, OpenListener{listener.state, listener.port}).second) {
            plan.leaving.push_back(listener);
        }
    }
    listeners_ = std::move(listeners);
    return sockets;
}

void Publisher::add_backends(const config::Pool& pool, const config::Backend& backend,
                             runtime::PoolPlan& plan, std::set<std::string>& known) {
    const auto add = [&](const Endpoint& endpoint, std::string name) {
        const backends::BackendKey key{pool.name, endpoint.to_string()};
        if (!known.insert(key.address).second) {
            return;  // two names, or a name and an address, that mean the same backend
        }
        plan.backends.push_back({registry_.backend(key, *net::SocketAddress::of(endpoint)),
                                 std::move(name), backend.address.to_string(), backend.address.host,
                                 backend.weight, backend.max_connections, backend.state});
    };
    if (net::SocketAddress::of(backend.address)) {
        add(backend.address, backend.name);
        return;
    }
    const std::string& host = backend.address.host;
    const auto& addresses = names_.find(host).addresses;
    for (const auto& ip : addresses) {
        const Endpoint endpoint{ip.to_string(), backend.address.port, {}};
        // One address keeps the configured name; several need a label each.
        add(endpoint, addresses.size() == 1 ? backend.name : backend.name + "/" + ip.to_string());
    }
    if (addresses.empty()) {
        const backends::BackendKey key{pool.name, backend.address.to_string()};
        plan.unresolved.push_back({registry_.backend(key, net::SocketAddress{}), backend.name,
                                   backend.address.to_string(), host, backend.weight,
                                   backend.max_connections, backend.state});
    }
}

runtime::PoolPlan Publisher::compile_pool(const config::Snapshot& snapshot,
                                          const config::Pool& pool) {
    runtime::PoolPlan plan;
    plan.config = pool;
    plan.state = registry_.pool(pool.name);
    std::set<std::string> known;
    for (const auto& backend : pool.backends) {
        add_backends(pool, backend, plan, known);
    }
    if (pool.sticky) {
        std::vector<std::string> values;
        values.reserve(plan.backends.size());
        for (const auto& backend : plan.backends) {
            values.push_back(sticky_value(backend.backend->key(), pool.sticky->cookie));
        }
        plan.sticky.emplace(pool.sticky->cookie, pool.sticky->ttl, std::move(values));
    }
    if (pool.when_all_down.action == config::WhenAllDown::Action::UsePool) {
        const auto found =
            std::ranges::find(snapshot.pools, pool.when_all_down.pool, &config::Pool::name);
        if (found != snapshot.pools.end()) {
            plan.fallback = static_cast<std::uint32_t>(found - snapshot.pools.begin());
        }
    }
    return plan;
}

std::shared_ptr<const runtime::Plan> Publisher::compile(const Published& published,
                                                        std::shared_ptr<runtime::Plan> plan) {
    plan->revision = ++revision_;
    for (const auto& pool : published.snapshot->pools) {
        plan->pools.push_back(compile_pool(*published.snapshot, pool));
    }
    if (trial_ && &published == &*trial_) {
        mark_shared(*plan);
    }
    tls_.fill(*plan, published.material);
    plan->routes = routing::RouteTable(published.snapshot->routes, published.snapshot->pools);
    return plan;
}

void Publisher::make_policies(Published& published) {
    std::vector<std::shared_ptr<const runtime::PoolPolicy>> policies;
    for (const auto& pool : published.plan->pools) {
        policies.push_back(make_policy(pool, published));
        if (&published == &running_) {
            note_pool_health(pool, *policies.back());
        }
    }
    published.policies = std::move(policies);
}

void Publisher::distribute(std::vector<std::vector<proxy::Proxy::Socket>> sockets) {
    ++distributed_;
    acknowledgements_ = 0;
    proxy::Proxy::Assignment assignment{{running_.plan, running_.policies}, {}, {}, 0};
    if (trial_) {
        assignment.candidate = {trial_->plan, trial_->policies};
        assignment.cells = trial_->cells;
        assignment.share = trial_->share;
    }
    for (std::size_t i = 0; i < workers_.size(); ++i) {
        auto& member = workers_.members()[i];
        member.worker->loop().post([this, &proxy = *member.proxy, assignment, number = distributed_,
                                    added = std::move(sockets[i])]() mutable {
            proxy.apply(std::move(assignment), std::move(added));
            loop_.post([this, number] {
                if (number == distributed_ && ++acknowledgements_ == workers_.size()) {
                    acknowledged_ = number;
                    listener_.on_acknowledged();
                }
            });
        });
    }
    registry_.sweep();
}

namespace {

/// What the trackers say of a pool's backends, by slot.
struct Candidates {
    std::vector<backends::Eligibility> eligibility;
    std::vector<double> factors;  // of slow start
    bool slow_start{false};

    Candidates(const runtime::PoolPlan& pool, const backends::Monitor& monitor, MonotonicTime now) {
        for (const auto& backend : pool.backends) {
            const auto* const tracker = monitor.find(backend.backend->key());
            eligibility.push_back(tracker == nullptr ? backends::Eligibility::IfNoneUp
                                                     : tracker->eligibility());
            factors.push_back(tracker == nullptr ? 1.0 : tracker->weight_factor(now));
            slow_start = slow_start || factors.back() < 1;
        }
    }

    bool any(backends::Eligibility wanted, const runtime::PoolPlan& pool) const {
        for (std::size_t slot = 0; slot < eligibility.size(); ++slot) {
            if (eligibility[slot] == wanted && pool.backends[slot].weight != 0) {
                return true;
            }
        }
        return false;
    }

    /// The members of a choice among those with the eligibility `wanted`.
    std::vector<balancing::Member> members(const runtime::PoolPlan& pool,
                                           backends::Eligibility wanted) const {
        std::vector<balancing::Member> members;
        members.reserve(pool.backends.size());
        for (std::size_t slot = 0; slot < pool.backends.size(); ++slot) {
            auto& backend = *pool.backends[slot].backend;
            members.push_back({stable_hash(backend.key().address), weight(pool, slot),
                               eligibility[slot] == wanted, &backend.load()});
        }
        return members;
    }

    std::uint32_t weight(const runtime::PoolPlan& pool, std::size_t slot) const {
        const std::uint32_t weight = pool.backends[slot].weight;
        if (!slow_start || weight == 0) {
            return weight;
        }
        const double scaled = weight * kSlowStartScale * factors[slot];
        return std::max(1U, static_cast<std::uint32_t>(std::lround(scaled)));
    }
};

}  // namespace

std::shared_ptr<const runtime::PoolPolicy> Publisher::make_policy(const runtime::PoolPlan& pool,
                                                                  Published& published) {
    using backends::Eligibility;
    const Candidates candidates(pool, judge_of(published, pool.config.name), loop_.now());
    auto result = std::make_shared<runtime::PoolPolicy>();
    auto offered = Eligibility::Yes;
    if (!candidates.any(Eligibility::Yes, pool)) {
        const bool reserve = candidates.any(Eligibility::Reserve, pool);
        offered = reserve ? Eligibility::Reserve : Eligibility::IfNoneUp;
        if (!reserve && !candidates.any(Eligibility::IfNoneUp, pool)) {
            // Of what is configured: a name without an address is a backend that is down.
            result->all_down = !pool.config.backends.empty();
            if (pool.config.when_all_down.action == config::WhenAllDown::Action::TryAnyway) {
                offered = Eligibility::LastResort;
                result->fail_open = candidates.any(Eligibility::LastResort, pool);
            }
        }
    }
    const auto choose_among = [&](Eligibility wanted) {
        return balancing::make_policy(pool.config.method, candidates.members(pool, wanted),
                                      pool.state->cursor());
    };
    result->policy = choose_among(offered);
    if (pool.config.selection.by == config::SelectionBy::Interval) {
        pin_for_interval(pool, *result, published.intervals[pool.config.name]);
    }
    if (offered == Eligibility::Yes && candidates.any(Eligibility::Reserve, pool)) {
        result->policy = balancing::make_with_reserve(std::move(result->policy),
                                                      choose_among(Eligibility::Reserve));
    }
    return result;
}

/// One backend for everybody until the interval ends or it is no longer offered.
void Publisher::pin_for_interval(const runtime::PoolPlan& pool, runtime::PoolPolicy& policy,
                                 Interval& interval) {
    const auto slot_of = [&](const backends::Backend* wanted) {
        const auto found = std::ranges::find_if(
            pool.backends, [&](const auto& backend) { return backend.backend.get() == wanted; });
        return static_cast<std::uint32_t>(found - pool.backends.begin());
    };
    // A reload that shortens the interval need not wait for the end of the long one.
    interval.end = std::min(interval.end, loop_.now() + pool.config.selection.interval);
    const bool running = loop_.now() < interval.end && interval.backend != nullptr;
    auto slot = running ? slot_of(interval.backend) : 0U;
    if (!running || !policy.policy->offers(slot)) {
        const balancing::Excluded none;
        const auto picked = policy.policy->pick({rng_.next(), loop_.now(), rng_, none});
        if (!picked) {
            return;
        }
        slot = *picked;
        interval.backend = pool.backends[slot].backend.get();
        if (loop_.now() >= interval.end) {
            interval.end = loop_.now() + pool.config.selection.interval;
        }
    }
    policy.policy = balancing::make_pinned(slot, std::move(policy.policy));
    if (!interval_timer_.armed() || interval.end < interval_due_) {
        interval_due_ = interval.end;
        loop_.arm(interval_timer_, interval_due_);
    }
}

void Publisher::on_interval() {
    std::set<std::string> due;
    interval_due_ = MonotonicTime::max();
    const auto look = [&](const Published& published) {
        for (const auto& [name, interval] : published.intervals) {
            if (interval.end <= loop_.now()) {
                due.insert(name);
            } else {
                interval_due_ = std::min(interval_due_, interval.end);
            }
        }
    };
    look(running_);
    if (trial_) {
        look(*trial_);
    }
    if (interval_due_ != MonotonicTime::max()) {
        loop_.arm(interval_timer_, interval_due_);
    }
    for (const auto& name : due) {
        rebuild_policy(name);
    }
}

/// At once, unless the pool is large and its choice was made a moment ago: the first checks of ten
/// thousand backends would otherwise make as many choices among ten thousand.
void Publisher::rebuild_policy(const std::string& name) {
    std::size_t backends = 0;
    for (const auto* const plan : {running_.plan.get(), trial_ ? trial_->plan.get() : nullptr}) {
        for (std::size_t i = 0; plan != nullptr && i < plan->pools.size(); ++i) {
            backends += plan->pools[i].config.name == name ? plan->pools[i].backends.size() : 0;
        }
    }
    Rebuilds& rebuilds = rebuilds_[name];
    const auto due = rebuilds.last + kRebuildPause * static_cast<std::int64_t>(backends);
    if (backends > kSmallPool && loop_.now() < due) {
        rebuilds.stale = true;
        if (!rebuild_timer_.armed()) {
            loop_.arm(rebuild_timer_, due);
        }
        return;
    }
    rebuilds = {loop_.now(), false};
    rebuild_policy(name, running_);
    if (trial_) {
        rebuild_policy(name, *trial_);
    }
}

void Publisher::rebuild_stale() {
    std::vector<std::string> stale;
    for (auto& [name, rebuilds] : rebuilds_) {
        if (std::exchange(rebuilds.stale, false)) {
            stale.push_back(name);
        }
    }
    for (const auto& name : stale) {
        rebuild_policy(name);
    }
}

void Publisher::rebuild_policy(const std::string& name, Published& published) {
    if (!published.plan || published.policies.size() != published.plan->pools.size()) {
        return;  // on the way to make_policies(), which makes all choices anyway
    }
    for (std::size_t i = 0; i < published.plan->pools.size(); ++i) {
        const auto& pool = published.plan->pools[i];
        if (pool.config.name != name) {
            continue;
        }
        published.policies[i] = make_policy(pool, published);
        if (&published == &running_) {
            note_pool_health(pool, *published.policies[i]);
        }
        workers_.post_to_all([revision = published.plan->revision, i,
                              policy = published.policies[i]](proxy::Proxy& proxy) {
            proxy.set_policy(revision, i, policy);
        });
    }
}

void Publisher::note_pool_health(const runtime::PoolPlan& pool, const runtime::PoolPolicy& policy) {
    const std::string& name = pool.config.name;
    if (policy.all_down && !all_down_since_.contains(name)) {
        all_down_since_[name] = loop_.wall_now();
        listener_.on_pool_health(name, true);
    } else if (!policy.all_down && all_down_since_.erase(name) != 0) {
        listener_.on_pool_health(name, false);
    }
}

std::optional<WallTime> Publisher::all_down_since(const std::string& pool) const {
    const auto found = all_down_since_.find(pool);
    return found == all_down_since_.end() ? std::nullopt : std::optional(found->second);
}

/// What the configuration calls a backend. Looked up in a table that is made when it is first asked
/// for: ten thousand backends change their state in one second when they are new.
const std::string& Publisher::shown_name(const backends::BackendKey& key) {
    if (shown_names_of_ != revision_) {
        shown_names_of_ = revision_;
        shown_names_.clear();
        for (const auto* const plan :
             {running_.plan.get(), trial_ ? trial_->plan.get() : nullptr}) {
            for (std::size_t i = 0; plan != nullptr && i < plan->pools.size(); ++i) {
                for (const auto& backend : plan->pools[i].backends) {
                    shown_names_.emplace(backend.backend->key(), backend.name);
                }
            }
        }
    }
    const auto found = shown_names_.find(key);
    return found == shown_names_.end() ? key.address : found->second;
}

void Publisher::on_transition(const backends::BackendKey& key,
                              const backends::Transition& transition) {
    const std::string name = shown_name(key);
    listener_.on_transition(key, name, transition);
    rebuild_policy(key.pool);
}

void Publisher::watch_names() {
    std::vector<const config::Snapshot*> snapshots{running_.snapshot.get()};
    if (trial_) {
        snapshots.push_back(trial_->snapshot.get());
    }
    names_.watch(snapshots);
}

/// Whoever had the address of a backend that cannot be reached may have another by now.
void Publisher::look_up_again(const backends::BackendKey& key) {
    const auto endpoint = Endpoint::parse(key.address);
    const auto ip = endpoint ? endpoint->ip() : std::nullopt;
    if (ip) {
        names_.look_up_again(*ip);
    }
}

std::set<std::string> Publisher::count_look_up_failure(const std::string& host) {
    std::set<backends::Backend*> counted;
    std::set<std::string> pools;
    const auto count = [&](const runtime::PoolPlan& pool,
                           const std::vector<runtime::BackendPlan>& backends) {
        for (const auto& backend : backends) {
            if (backend.host == host && counted.insert(backend.backend.get()).second) {
                backend.backend->look_up_failures.add();
                pools.insert(pool.config.name);
            }
        }
    };
    for (const auto& plan : {running_.plan, trial_plan()}) {
        for (std::size_t i = 0; plan && i < plan->pools.size(); ++i) {
            count(plan->pools[i], plan->pools[i].backends);
            count(plan->pools[i], plan->pools[i].unresolved);
        }
    }
    return pools;
}

void Publisher::look_up_failed(const std::string& host, const BackendNames::LookUp& look_up,
                               bool first) {
    const auto pools = count_look_up_failure(host);
    if (!first) {
        return;
    }
    log::warn("cannot resolve backend name", "host", host, "error", look_up.error, "keeping",
              look_up.addresses.size());
    for (const auto& pool : pools) {
        listener_.on_name(
            pool, host,
            "cannot resolve " + host + ": " + look_up.error + "; " +
                (look_up.addresses.empty()
                     ? std::string("it has no address yet")
                     : "its last addresses stay: " + std::to_string(look_up.addresses.size())));
    }
}

void Publisher::look_up_recovered(const std::string& host, const BackendNames::LookUp& look_up) {
    log::info("backend name can be resolved again", "host", host, "addresses",
              look_up.addresses.size());
    for (const auto& pool : running_.plan->pools) {
        const bool uses = std::ranges::find(pool.backends, host, &runtime::BackendPlan::host) !=
                              pool.backends.end() ||
                          std::ranges::find(pool.unresolved, host, &runtime::BackendPlan::host) !=
                              pool.unresolved.end();
        if (uses) {
            listener_.on_name(pool.config.name, host, host + " can be resolved again");
        }
    }
}

bool Publisher::first_checks_done() const {
    const bool answered = names_.all_looked_up();
    const bool chosen =
        std::ranges::none_of(rebuilds_, [](const auto& entry) { return entry.second.stale; });
    return answered && chosen && monitor_.all_checked();
}

}  // namespace rproxy::control
