#include "control/controller.h"

#include "config/diff.h"
#include "config/load.h"
#include "log/log.h"

#include <sys/epoll.h>

#include <algorithm>

namespace rproxy::control {

namespace {

constexpr std::size_t kMostVersions = 20;
constexpr std::uint32_t kMostReportsPending = 64;
constexpr std::chrono::milliseconds kIdlePoll{10};
/// An address that cannot be listened on is tried again this often.
constexpr std::chrono::milliseconds kListenAgain{1000};

backends::FailureReason reason_of(backends::TrafficFailure failure) {
    switch (failure) {
        case backends::TrafficFailure::Refused:
            return backends::FailureReason::Refused;
        case backends::TrafficFailure::Reset:
            return backends::FailureReason::Reset;
        case backends::TrafficFailure::Timeout:
            return backends::FailureReason::Timeout;
        case backends::TrafficFailure::HttpStatus:
            return backends::FailureReason::HttpStatus;
    }
    return backends::FailureReason::Reset;
}

std::string base_name(const std::string& path) {
    return path.substr(path.rfind('/') + 1);
}

}  // namespace

struct Controller::WatchEvents final : net::EventHandler {
    using Poll = void (Controller::*)();
    WatchEvents(Controller& controller, Poll the_poll) : owner(controller), poll(the_poll) {}
    void on_event(std::uint32_t /*events*/) override { (owner.*poll)(); }
    Controller& owner;
    const Poll poll;
};

Controller::Controller(net::EventLoop& loop, Workers& workers, Options options)
    : loop_(loop),
      workers_(workers),
      options_(std::move(options)),
      snapshots_live_(std::make_shared<std::atomic<std::int64_t>>(0)),
      publisher_(
          loop, workers, {workers.size(), options_.seed},
          {[this](const auto& key, const auto& name, const auto& transition) {
               on_transition(key, name, transition);
           },
           [this](const std::string& pool, bool all_down) { on_pool_health(pool, all_down); },
           [this] { on_acknowledged(); },
           [this](const std::string& pool, const std::string& host, std::string message) {
               note({.kind = Event::Kind::Pool,
                     .pool = pool,
                     .backend = host,
                     .reason = "dns",
                     .message = std::move(message)});
           }}),
      watcher_({.path = options_.config_path}, loop.now()),
      watch_events_(std::make_unique<WatchEvents>(*this, &Controller::poll_watcher)),
      certificate_events_(std::make_unique<WatchEvents>(*this, &Controller::poll_certificates)) {
    if (!options_.state_dir.empty()) {
        last_known_good_.emplace(options_.state_dir);
        if (auto remembered = last_known_good_->load_rolled_back()) {
            rolled_back_ = std::move(*remembered);
        } else {
            log::error("what was rolled back is not known", "error", remembered.error());
        }
    }
}

Controller::~Controller() = default;

void Controller::start() {
    if (watcher_.fd() >= 0) {
        loop_.add(watcher_.fd(), EPOLLIN, *watch_events_);
    }
    if (certificates_.fd() >= 0) {
        loop_.add(certificates_.fd(), EPOLLIN, *certificate_events_);
    }
    poll_watcher();
    if (source_ == Source::None) {
        use_last_known_good(last_reload_ && !last_reload_->issues.empty()
                                ? last_reload_->issues.front().message
                                : "the configuration file cannot be read");
    }
    if (source_ == Source::None && rolled_back_ && file_ && file_->sha256 == rolled_back_->sha256) {
        log::warn("running on a configuration that was rolled back", "reason",
                  "there is no other to run on", "evidence", rolled_back_->evidence);
        consider(file_->text, file_->sha256, Source::File);
    }
    if (source_ == Source::None) {
        listen_without_configuration();
    }
}

void Controller::reload() {
    if (auto result = watcher_.force(loop_.now())) {
        handle(std::move(result));
    } else if (file_ && !is_in_use(file_->sha256)) {
        // The same text may be right by now: a port that was taken is free, a backend was mended.
        rolled_back_.reset();
        consider(file_->text, file_->sha256, Source::File);
    } else {
        ++reloads_[static_cast<std::size_t>(ReloadResult::Unchanged)];
        log::info("configuration unchanged", "generation", generation_);
    }
    refresh_certificates();
}

void Controller::poll_watcher() {
    handle(watcher_.poll(loop_.now()));
    loop_.arm(watch_timer_, watcher_.next_wakeup());
}

void Controller::handle(ConfigWatcher::Result result) {
    if (!result) {
        return;
    }
    file_ = *result ? std::optional(**result) : std::nullopt;
    if (!*result) {
        log::error("configuration file cannot be read", "error", result->error().message, "keeping",
                   generation_ == 0 ? "nothing" : "the running configuration");
        ++reloads_[static_cast<std::size_t>(ReloadResult::Rejected)];
        last_reload_ =
            LastReload{ReloadResult::Rejected,
                       loop_.wall_now(),
                       {{0, 0, "", result->error().message, "put a readable YAML file there"}},
                       {}};
        note({.kind = Event::Kind::Config,
              .result = "rejected",
              .message = result->error().message});
        return;
    }
    const auto& change = **result;
    if (rolled_back_ && rolled_back_->sha256 == change.sha256) {
        // The file was away and is back with the same bytes; its verdict stands.
        log::error("configuration was rolled back before", "sha256", change.sha256.substr(0, 12),
                   "evidence", rolled_back_->evidence);
        note_rolled_back(change.text);
        return;
    }
    rolled_back_.reset();
    awaiting_listeners_.reset();
    if (is_in_use(change.sha256)) {
        if (rollout_ && rollout_->candidate().sha256 != change.sha256) {
            abandon_rollout();
        }
        unchanged();
        return;
    }
    consider(change.text, change.sha256, Source::File);
}

/// It is what runs, or what is being tried out.
bool Controller::is_in_use(const std::string& sha256) const {
    return (sha256 == sha256_ && source_ == Source::File) ||
           (rollout_ && rollout_->candidate().sha256 == sha256);
}

void Controller::unchanged() {
    ++reloads_[static_cast<std::size_t>(ReloadResult::Unchanged)];
    last_reload_ = LastReload{ReloadResult::Unchanged, loop_.wall_now(), {}, {}};
}

bool Controller::consider(const std::string& text, const std::string& sha256, Source source) {
    if (source == Source::File) {
        awaiting_listeners_.reset();
    }
    publishing_since_ = loop_.now();
    auto loaded = config::load(text);
    if (!loaded) {
        reject(std::move(loaded.error()), text);
        return false;
    }
    snapshots_live_->fetch_add(1, std::memory_order_relaxed);
    // Counted until the last worker, request and admin answer has let go of it.
    const std::shared_ptr<const config::Snapshot> snapshot(
        std::make_unique<config::Snapshot>(std::move(*loaded)).release(),
        [live = snapshots_live_](const config::Snapshot* dead) {
            delete dead;
            live->fetch_sub(1, std::memory_order_relaxed);
        });
    if (generation_ == 0 && source == Source::File) {
        start_on_last_known_good(*snapshot, sha256);
    }
    considered_files_ = tls::files_of(*snapshot);
    if (wants_rollout(*snapshot, source)) {
        return begin_rollout({snapshot, text, sha256, config::plan(*snapshot_, *snapshot),
                              applied_at_once(*snapshot_, *snapshot)});
    }
    const auto replaced = publisher_.trial_cells();
    const auto published = publisher_.publish(snapshot, generation_ + 1);
    if (!published) {
        reject(published.error(), text);
        await_listeners(snapshot, text, sha256, source);
        return false;
    }
    if (replaced) {
        rollout_.reset();
        count_rollout(RolloutResult::Replaced, *replaced);
    }
    accept(snapshot, text, sha256, source);
    return true;
}

void Controller::accept(std::shared_ptr<const config::Snapshot> snapshot, const std::string& text,
                        const std::string& sha256, Source source) {
    Version version{++generation_, sha256, loop_.wall_now(), {}, text};
    version.changes = snapshot_ ? config::plan(*snapshot_, *snapshot)
                                : std::vector<std::string>{"first configuration"};
    snapshot_ = std::move(snapshot);
    watch_certificates();
    text_ = text;
    sha256_ = sha256;
    source_ = source;
    listening_ = true;
    applied_ = loop_.wall_now();
    if (options_.on_settings) {
        options_.on_settings(*snapshot_);
    }
    rejected_certificates_.reset();
    log_issues("certificate warning", publisher_.material().warnings);
    log::info("configuration applied", "generation", generation_, "source", to_string(source),
              "sha256", sha256.substr(0, 12), "changes", version.changes.size());
    for (const auto& change : version.changes) {
        log::info("configuration change", "generation", generation_, "change", change);
    }
    if (source == Source::File) {
        ++reloads_[static_cast<std::size_t>(ReloadResult::Applied)];
        if (file_ && file_->sha256 == sha256) {
            last_reload_ = LastReload{ReloadResult::Applied, loop_.wall_now(), {}, {}};
        }  // else a rollout was promoted, and what is wrong with the file since stays visible
        last_success_ = applied_;
        if (last_known_good_) {
            keep(text);
        }
    }
    note({.kind = Event::Kind::Config,
          .generation = generation_,
          .result = "applied",
          .message = version.changes.empty() ? "no change in meaning" : version.changes.front()});
    versions_.push_front(std::move(version));
    if (versions_.size() > kMostVersions) {
        versions_.pop_back();
    }
}

void Controller::log_issues(std::string_view message,
                            const std::vector<config::Issue>& issues) const {
    constexpr std::size_t kMostLogged = 20;
    const bool error = message.ends_with("error");
    for (std::size_t i = 0; i < std::min(issues.size(), kMostLogged); ++i) {
        const std::string where = format_issue(issues[i]);
        error ? log::error(message, "where", where) : log::warn(message, "where", where);
    }
}

std::string Controller::format_issue(const config::Issue& issue) const {
    return config::format(issue, base_name(options_.config_path));
}

void Controller::keep(const std::string& text) {
    if (const auto saved = last_known_good_->save(text, loop_.wall_now()); !saved) {
        log::error("cannot keep the accepted configuration", "error", saved.error(), "hint",
                   "a restart may find no configuration, or an older one");
        note({.kind = Event::Kind::Config,
              .generation = generation_,
              .result = "not_kept",
              .message = "not kept in --state-dir: " + saved.error()});
    }
    last_known_good_->forget_rolled_back();
}

void Controller::reject(std::vector<config::Issue> issues, const std::string& text) {
    ++reloads_[static_cast<std::size_t>(ReloadResult::Rejected)];
    log::error(
        "configuration rejected", "file", options_.config_path, "errors", issues.size(), "keeping",
        generation_ == 0 ? std::string("nothing") : "generation " + std::to_string(generation_));
    log_issues("configuration error", issues);
    note({.kind = Event::Kind::Config,
          .generation = generation_,
          .result = "rejected",
          .message = issues.empty() ? "rejected" : format_issue(issues.front())});
    last_reload_ = LastReload{ReloadResult::Rejected, loop_.wall_now(), std::move(issues), text};
    publishing_since_.reset();
    watch_certificates();
}

/// After a rejection: if it was for an address, which may be taken by somebody who is about to let
/// go of it (the process that this one replaces), looks again until the file changes.
void Controller::await_listeners(std::shared_ptr<const config::Snapshot> snapshot,
                                 const std::string& text, const std::string& sha256,
                                 Source source) {
    if (source == Source::File && !publisher_.can_listen(*snapshot)) {
        awaiting_listeners_ = AwaitingListeners{std::move(snapshot), text, sha256};
        loop_.arm(listen_timer_, loop_.now() + kListenAgain);
    }
}

void Controller::on_listen_timer() {
    if (!awaiting_listeners_) {
        return;
    }
    if (!publisher_.can_listen(*awaiting_listeners_->snapshot)) {
        loop_.arm(listen_timer_, loop_.now() + kListenAgain);
        return;
    }
    const auto awaited = *std::exchange(awaiting_listeners_, std::nullopt);
    log::info("its addresses can be listened on now", "sha256", awaited.sha256.substr(0, 12));
    consider(awaited.text, awaited.sha256, Source::File);
}

void Controller::use_last_known_good(const std::string& why) {
    if (!last_known_good_) {
        return;
    }
    const auto kept = last_known_good_->load();
    if (!kept) {
        log::error("the kept configuration cannot be trusted", "error", kept.error());
        return;
    }
    if (!*kept) {
        log::warn("no configuration was kept", "state_dir", options_.state_dir);
        return;
    }
    const auto rejected = last_reload_;
    const auto counted = reloads_;
    const bool accepted = consider((*kept)->text, (*kept)->sha256, Source::LastKnownGood);
    // What is wrong with the file stays visible, and the copy is no file that somebody changed.
    last_reload_ = rejected;
    reloads_ = counted;
    if (!accepted) {
        log::error("the kept configuration is not valid", "path", last_known_good_->path());
    } else {
        log::warn(
            "running on the last known good configuration", "reason", why, "accepted",
            std::chrono::duration_cast<std::chrono::seconds>((*kept)->accepted.time_since_epoch())
                .count());
    }
}

/// Listens where the file (as far as it can be read) or the defaults say and answers 503
/// `no_config`, so that whoever looks is told what is wrong instead of finding a closed port and a
/// crash loop.
void Controller::listen_without_configuration() {
    auto snapshot = config::salvage(last_reload_ ? last_reload_->text : std::string());
    // Where TLS is asked for, plain text is no answer.
    std::erase_if(snapshot.listeners,
                  [](const auto& listener) { return listener.tls.has_value(); });
    const auto published =
        publisher_.publish(std::make_shared<const config::Snapshot>(std::move(snapshot)), 0);
    listening_ = published.has_value();
    if (published) {
        log::error("no configuration", "answering", "503 no_config", "waiting_for",
                   options_.config_path);
    } else {
        log::error("no configuration and no listener", "error", published.error().front().message);
    }
}

std::shared_ptr<const config::Snapshot> Controller::snapshot() const {
    return snapshot_;
}

void Controller::traffic_failed(const std::shared_ptr<backends::Backend>& backend,
                                backends::TrafficFailure failure) {
    // A dead backend under load fails thousands of times; the first few say it all.
    if (backend->reports_pending.fetch_add(1, std::memory_order_relaxed) >= kMostReportsPending) {
        backend->reports_pending.fetch_sub(1, std::memory_order_relaxed);
        return;
    }
    loop_.post([this, backend, failure] {
        backend->reports_pending.fetch_sub(1, std::memory_order_relaxed);
        publisher_.monitor().traffic_failed(*backend, reason_of(failure));
    });
}

void Controller::traffic_succeeded(const std::shared_ptr<backends::Backend>& backend) {
    if (backend->suspect.exchange(false, std::memory_order_relaxed)) {
        loop_.post([this, backend] { publisher_.monitor().traffic_succeeded(*backend); });
    }
}

void Controller::on_transition(const backends::BackendKey& key, const std::string& name,
                               const backends::Transition& transition) {
    const auto from = to_string(transition.from);
    const auto to = to_string(transition.to);
    std::string message = "backend is " + std::string(to);
    if (transition.is_crash) {
        log::warn("backend crashed", "pool", key.pool, "backend", name, "state", to, "reason",
                  transition.reason);
    } else {
        log::info("backend state changed", "pool", key.pool, "backend", name, "from", from, "to",
                  to, "reason", transition.reason);
    }
    if (transition.held_until) {
        const auto held =
            std::chrono::round<std::chrono::seconds>(*transition.held_until - transition.at);
        log::warn("backend held down for flapping", "pool", key.pool, "backend", name, "falls",
                  transition.recent_falls, "within_minutes",
                  backends::RecentEvents::kWindow.count(), "held_seconds", held.count());
        message += ", held down for " + std::to_string(held.count()) + " s after " +
                   std::to_string(transition.recent_falls) + " falls within " +
                   std::to_string(backends::RecentEvents::kWindow.count()) + " minutes";
    }
    note({.kind = Event::Kind::BackendState,
          .pool = key.pool,
          .backend = name,
          .from = std::string(from),
          .to = std::string(to),
          .reason = std::string(transition.reason),
          .message = std::move(message)});
}

void Controller::on_pool_health(const std::string& pool, bool all_down) {
    if (all_down) {
        log::error("all backends of a pool are down", "pool", pool, "hint",
                   "repair them, or name others in the configuration file");
    } else {
        log::info("pool has a healthy backend again", "pool", pool);
    }
    note({.kind = Event::Kind::Pool,
          .pool = pool,
          .message = all_down ? "all backends are down: repair them or name others"
                              : "a backend is healthy again"});
}

void Controller::on_acknowledged() {
    if (publishing_since_) {
        const auto took = loop_.now() - *std::exchange(publishing_since_, std::nullopt);
        log::info("every worker runs the configuration", "generation", generation_, "ms",
                  std::chrono::duration_cast<std::chrono::milliseconds>(took).count());
    }
}

void Controller::note(Event event) {
    event.at = loop_.wall_now();
    events_.add(std::move(event));
}

std::vector<std::string> Controller::not_ready_reasons() const {
    std::vector<std::string> reasons;
    if (!listening_) {
        reasons.emplace_back("not listening");
    }
    if (generation_ == 0) {
        reasons.emplace_back("no valid configuration has been applied");
    } else if (!was_ready_ && !publisher_.acknowledged()) {
        reasons.emplace_back("workers have not switched to the configuration yet");
    } else if (!was_ready_ && !publisher_.first_checks_done()) {
        reasons.emplace_back("first health checks are not done");
    }
    // A reload must not take all replicas out of their Service at once.
    was_ready_ = was_ready_ || reasons.empty();
    if (drain_stage_ != DrainStage::None) {
        reasons.emplace_back("draining");
    }
    return reasons;
}

std::optional<WallTime> Controller::wall_time(std::optional<MonotonicTime> at) const {
    if (!at) {
        return std::nullopt;
    }
    return loop_.wall_now() + std::chrono::duration_cast<WallTime::duration>(*at - loop_.now());
}

BackendStatus Controller::backend_status(const runtime::BackendPlan& backend) const {
    BackendStatus row;
    row.name = backend.name;
    row.address = backend.backend->key().address;
    row.configured = backend.address;
    row.backend = backend.backend;
    row.weight = backend.weight;
    row.effective_weight = backend.weight;
    if (const auto* const tracker = publisher_.monitor().find(backend.backend->key())) {
        row.state = tracker->state();
        row.slow_start = tracker->in_slow_start(loop_.now());
        row.effective_weight = backend.weight * tracker->weight_factor(loop_.now());
        row.held_until = wall_time(tracker->held_until());
        row.ejected_until = wall_time(tracker->ejected_until());
        row.recent_falls = tracker->recent_falls(loop_.now());
        row.facts = tracker->facts(loop_.now());
        row.check_durations.add(*publisher_.monitor().check_durations(backend.backend->key()));
    }
    return row;
}

PoolStatus Controller::pool_status(std::size_t index) const {
    const auto& pool = publisher_.plan()->pools[index];
    const auto& shared_policy = publisher_.policy(index);
    const auto& policy = *shared_policy;
    PoolStatus status{pool.config.name,
                      pool.state,
                      shared_policy,
                      pool.config.method,
                      pool.config.selection.by,
                      policy.fail_open,
                      publisher_.all_down_since(pool.config.name),
                      {}};
    for (std::size_t slot = 0; slot < pool.backends.size(); ++slot) {
        status.backends.push_back(backend_status(pool.backends[slot]));
        // In fail-open the unhealthy ones are offered; that does not make them well.
        status.backends.back().eligible =
            !policy.fail_open && policy.policy->offers(static_cast<std::uint32_t>(slot));
    }
    for (const auto& backend : pool.unresolved) {
        status.backends.push_back(unresolved_status(backend));
    }
    return status;
}

/// A name without an address: down if it was looked up in vain, for it takes no requests.
BackendStatus Controller::unresolved_status(const runtime::BackendPlan& backend) const {
    BackendStatus row = backend_status(backend);
    const auto& look_up = publisher_.names().find(backend.host);
    if (backend.admin_state != config::AdminState::Up) {
        row.state = backend.admin_state == config::AdminState::Drain ? backends::State::Draining
                                                                     : backends::State::Disabled;
    } else if (look_up.at) {
        row.state = backends::State::Down;
    }
    if (look_up.at) {
        row.facts.last_check = {*look_up.at, false, "cannot resolve: " + look_up.error};
    }
    return row;
}

/// What takes requests on trial is to be seen, too: pools and backends that the running
/// configuration does not have.
void Controller::add_trial_pools(std::vector<PoolStatus>& pools) const {
    const auto plan = publisher_.trial_plan();
    for (std::size_t i = 0; plan && i < plan->pools.size(); ++i) {
        const auto& pool = plan->pools[i];
        const auto& policy = publisher_.trial_policy(i);
        auto shown = std::ranges::find(pools, pool.config.name, &PoolStatus::name);
        if (shown == pools.end()) {
            pools.push_back({pool.config.name,
                             pool.state,
                             nullptr,
                             pool.config.method,
                             pool.config.selection.by,
                             policy.fail_open,
                             std::nullopt,
                             {}});
            shown = std::prev(pools.end());
        }
        for (std::size_t slot = 0; slot < pool.backends.size(); ++slot) {
            if (pool.backends[slot].shared) {
                continue;
            }
            auto row = backend_status(pool.backends[slot]);
            row.on_trial = true;
            row.eligible =
                !policy.fail_open && policy.policy->offers(static_cast<std::uint32_t>(slot));
            if (std::ranges::find(shown->backends, row.name, &BackendStatus::name) !=
                shown->backends.end()) {
                row.name += " (on trial)";  // two backends must not have one set of series
            }
            shown->backends.push_back(std::move(row));
        }
    }
}

Status Controller::status() const {
    Status status;
    status.plan = publisher_.plan();
    if (status.plan) {
        for (std::size_t i = 0; i < status.plan->pools.size(); ++i) {
            status.pools.push_back(pool_status(i));
        }
        add_trial_pools(status.pools);
    }
    add_rollout_status(status);
    status.not_ready = not_ready_reasons();
    status.draining = drain_stage_ != DrainStage::None;
    status.source = source_;
    status.generation = generation_;
    status.text = text_;
    status.sha256 = sha256_;
    status.applied = applied_;
    status.last_reload = last_reload_;
    status.rejected_certificates = rejected_certificates_;
    status.last_success = last_success_;
    status.reloads = reloads_;
    status.snapshots_live = snapshots_live_->load(std::memory_order_relaxed);
    return status;
}

void Controller::drain(bool exit) {
    if (exit && exit_when_drained_) {
        log::warn("second signal: ending at once");
        finish_drain();
        return;
    }
    exit_when_drained_ = exit_when_drained_ || exit;
    if (drain_stage_ != DrainStage::None) {
        if (drain_stage_ == DrainStage::Done && exit_when_drained_) {
            finish_drain();
        }
        return;
    }
    const config::Drain settings = snapshot_ ? snapshot_->drain : config::Drain{};
    drain_stage_ = DrainStage::Grace;
    log::info("draining", "accept_grace_ms", settings.accept_grace.count(), "timeout_ms",
              settings.timeout.count());
    note({.kind = Event::Kind::Process, .message = "draining"});
    workers_.post_to_all([](proxy::Proxy& proxy) { proxy.begin_drain(); });
    drain_deadline_ = loop_.now() + settings.accept_grace + settings.timeout;
    loop_.arm(drain_timer_, loop_.now() + settings.accept_grace);
}

void Controller::on_drain_timer() {
    if (drain_stage_ == DrainStage::Grace) {
        drain_stage_ = DrainStage::Finishing;
        workers_.post_to_all([](proxy::Proxy& proxy) { proxy.close_listeners(); });
        log::info("listeners closed");
    } else if (drain_stage_ == DrainStage::Finishing &&
               (idle() || loop_.now() >= drain_deadline_)) {
        if (!idle()) {
            log::warn("drain timeout: cutting what is left");
            workers_.post_to_all([](proxy::Proxy& proxy) { proxy.close_all(); });
        }
        drain_stage_ = DrainStage::Done;
        if (exit_when_drained_) {
            finish_drain();
        }
        return;
    }
    loop_.arm(drain_timer_, loop_.now() + kIdlePoll);
}

bool Controller::idle() const {
    return std::ranges::all_of(workers_.members(), [](const auto& member) {
        return std::as_const(*member.proxy).cells().sessions.value() == 0;
    });
}

void Controller::finish_drain() {
    drain_stage_ = DrainStage::Done;
    loop_.cancel(drain_timer_);
    if (options_.on_done) {
        options_.on_done();
    }
}

}  // namespace rproxy::control
