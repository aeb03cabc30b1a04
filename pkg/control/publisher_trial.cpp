// The configuration on trial beside the running one.
#include "control/publisher.h"

#include <algorithm>
#include <map>

namespace rproxy::control {

namespace {

const runtime::PoolPlan* find_pool(const runtime::Plan& plan, const std::string& name) {
    const auto found = std::ranges::find_if(
        plan.pools, [&name](const auto& pool) { return pool.config.name == name; });
    return found == plan.pools.end() ? nullptr : &*found;
}

/// What the operator wants of each backend.
std::map<const backends::Backend*, config::AdminState> wishes(const runtime::PoolPlan& pool) {
    std::map<const backends::Backend*, config::AdminState> states;
    for (const auto& backend : pool.backends) {
        states.emplace(backend.backend.get(), backend.admin_state);
    }
    return states;
}

/// Whether one tracker cannot say what both configurations would see of a backend.
bool must_judge_apart(const runtime::PoolPlan& running, const runtime::PoolPlan& trial) {
    if (running.config.health_check != trial.config.health_check ||
        running.config.outlier != trial.config.outlier ||
        running.config.slow_start != trial.config.slow_start ||
        running.config.tls != trial.config.tls) {
        return true;
    }
    const auto wanted = wishes(running);
    return std::ranges::any_of(trial.backends, [&wanted](const auto& backend) {
        const auto known = wanted.find(backend.backend.get());
        return known != wanted.end() && known->second != backend.admin_state;
    });
}

void add_targets(const runtime::PoolPlan& pool, backends::Monitor::PoolTargets& targets,
                 bool with_shared, bool on_trial) {
    for (const auto& backend : pool.backends) {
        if (with_shared || !backend.shared) {
            targets.targets.push_back({backend.backend, backend.admin_state, backend.address,
                                       backend.weight != 0, on_trial, pool.tls, backend.host});
        }
    }
}

}  // namespace

std::expected<void, std::vector<config::Issue>> Publisher::try_out(
    std::shared_ptr<const config::Snapshot> snapshot, std::uint64_t generation) {
    auto material = tls_.load(*snapshot, running_.material, running_.generation == 0);
    if (!material) {
        return std::unexpected{std::move(material.error())};
    }
    auto plan = std::make_shared<runtime::Plan>();
    plan->snapshot = std::move(snapshot);
    plan->generation = generation;
    auto sockets = open_listeners(*plan, running_.plan.get());
    if (!sockets) {
        return std::unexpected{std::move(sockets.error())};
    }
    trial_ = Trial{};
    trial_->snapshot = plan->snapshot;
    trial_->generation = generation;
    trial_->material = std::move(*material);
    trial_->cells = std::make_shared<proxy::RolloutCells>(workers_.size());
    watch_names();
    trial_->plan = compile(*trial_, std::move(plan));
    running_.policies.clear();
    configure_monitors();
    make_policies(running_);
    make_policies(*trial_);
    distribute(std::move(*sockets));
    names_.look_up_due();
    return {};
}

/// Notes in a plan on trial which backends the running one has, too.
void Publisher::mark_shared(runtime::Plan& trial) const {
    for (auto& pool : trial.pools) {
        const auto* const running = find_pool(*running_.plan, pool.config.name);
        if (running == nullptr) {
            continue;
        }
        const auto known = wishes(*running);
        for (auto& backend : pool.backends) {
            backend.shared = known.contains(backend.backend.get());
        }
    }
}

/// Every backend of both configurations in one monitor, which keeps what it knows of each when the
/// trial ends either way; and a second one for the pools of the trial that check otherwise.
void Publisher::configure_monitors() {
    std::vector<backends::Monitor::PoolTargets> targets;
    for (const auto& pool : running_.plan->pools) {
        targets.push_back({&pool.config, {}});
        add_targets(pool, targets.back(), true, false);
    }
    std::vector<backends::Monitor::PoolTargets> apart;
    if (trial_) {
        trial_->judged_apart.clear();
    }
    for (std::size_t i = 0; trial_ && i < trial_->plan->pools.size(); ++i) {
        const auto& pool = trial_->plan->pools[i];
        const auto* const running = find_pool(*running_.plan, pool.config.name);
        if (running == nullptr) {
            targets.push_back({&pool.config, {}});
            add_targets(pool, targets.back(), true, true);
            continue;
        }
        const auto at = static_cast<std::size_t>(running - running_.plan->pools.data());
        add_targets(pool, targets[at], false, true);
        if (must_judge_apart(*running, pool)) {
            trial_->judged_apart.insert(pool.config.name);
            apart.push_back({&pool.config, {}});
            add_targets(pool, apart.back(), true, true);
        }
    }
    monitor_.configure(targets);
    if (!apart.empty() && trial_->monitor == nullptr) {
        const auto rebuild = [this](const std::string& pool) {
            if (trial_) {
                rebuild_policy(pool, *trial_);
            }
        };
        trial_->monitor = std::make_unique<backends::Monitor>(
            loop_, rng_.next(),
            backends::Monitor::Listener{
                [rebuild](const auto& key, const auto& /*transition*/) { rebuild(key.pool); },
                rebuild, [this](const auto& key) { look_up_again(key); }});
    }
    if (trial_ && trial_->monitor != nullptr) {
        trial_->monitor->configure(apart);
    }
}

const backends::Monitor& Publisher::judge_of(const Published& published,
                                             const std::string& pool) const {
    return trial_ && &published == &*trial_ && trial_->judged_apart.contains(pool)
               ? *trial_->monitor
               : monitor_;
}

void Publisher::set_trial_share(double share) {
    trial_->share = share;
    workers_.post_to_all([cells = trial_->cells, share](proxy::Proxy& proxy) {
        proxy.set_share(cells.get(), share);
    });
}

std::shared_ptr<const proxy::RolloutCells> Publisher::trial_cells() const {
    return trial_ ? trial_->cells : nullptr;
}

std::shared_ptr<const runtime::Plan> Publisher::trial_plan() const {
    return trial_ ? trial_->plan : nullptr;
}

const runtime::PoolPolicy& Publisher::trial_policy(std::size_t pool) const {
    return *trial_->policies[pool];
}

bool Publisher::trial_checked() const {
    return acknowledged() && first_checks_done() &&
           (trial_->monitor == nullptr || trial_->monitor->all_checked());
}

std::vector<std::string> Publisher::trial_dead_pools() const {
    std::vector<std::string> dead;
    for (std::size_t i = 0; i < trial_->plan->pools.size(); ++i) {
        const std::string& name = trial_->plan->pools[i].config.name;
        if (!trial_->policies[i]->all_down) {
            continue;
        }
        const auto* const running = find_pool(*running_.plan, name);
        if (running == nullptr ||
            !running_.policies[static_cast<std::size_t>(running - running_.plan->pools.data())]
                 ->all_down) {
            dead.push_back(name);
        }
    }
    return dead;
}

}  // namespace rproxy::control
