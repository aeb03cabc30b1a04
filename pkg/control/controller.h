#pragma once

#include "backends/health_tracker.h"
#include "control/certificate_watcher.h"
#include "control/config_watcher.h"
#include "control/history.h"
#include "control/last_known_good.h"
#include "control/publisher.h"
#include "control/rollout.h"
#include "control/workers.h"
#include "net/event_loop.h"

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace rproxy::control {

/// One backend at a moment: what the control thread knows, copied.
struct BackendStatus {
    std::string name;
    std::string address;
    std::string configured;  ///< The address in the file: a name stays a name.
    std::shared_ptr<const backends::Backend> backend;
    backends::State state{backends::State::Unknown};
    bool eligible{false};  ///< Offered to new requests now.
    bool slow_start{false};
    bool departed{false};  ///< Left the configuration since the last scrape.
    bool on_trial{false};  ///< Only the configuration on trial has it.
    std::uint32_t weight{1};
    double effective_weight{1};
    std::optional<WallTime> held_until;     ///< Held down for flapping, though its probes may pass.
    std::optional<WallTime> ejected_until;  ///< Of one that is ejected.
    std::size_t recent_falls{0};            ///< Within backends::RecentEvents::kWindow.
    backends::HealthTracker::Facts facts;
    metrics::HistogramSum<metrics::kHealthCheckBounds> check_durations;
};

struct PoolStatus {
    std::string name;
    std::shared_ptr<const backends::PoolState> state;
    std::shared_ptr<const runtime::PoolPolicy> policy;  ///< Null if only on trial.
    balancing::Method method{};
    config::SelectionBy selection{};
    bool fail_open{false};
    std::optional<WallTime> all_down_since;
    std::vector<BackendStatus> backends;
};

/// What one side of all rollouts since the start has seen.
struct SideTotals {
    std::uint64_t requests{0};
    std::uint64_t failures{0};
    metrics::HistogramSum<metrics::kLatencyBounds> answer_time;
};

/// The whole process at a moment, for metrics and the admin API. A copy: any thread may read it.
struct Status {
    std::shared_ptr<const runtime::Plan> plan;  ///< Null before the first.
    std::vector<PoolStatus> pools;
    std::vector<std::string> not_ready;  ///< Why not; empty: ready.
    bool draining{false};
    Source source{Source::None};
    std::uint64_t generation{0};
    std::string text;
    std::string sha256;
    std::optional<WallTime> applied;
    std::optional<LastReload> last_reload;
    /// The certificates' files as they are cannot be used; what was made of them before is.
    /// Nothing: they can.
    std::optional<LastReload> rejected_certificates;
    std::optional<WallTime> last_success;
    std::array<std::uint64_t, 4> reloads{};  ///< By ReloadResult.
    std::int64_t snapshots_live{0};
    std::optional<RolloutStatus> rollout;
    std::array<std::uint64_t, metrics::label_count<metrics::RolloutResult>()> rollouts{};
    std::array<SideTotals, metrics::label_count<metrics::RolloutSide>()> rollout_totals{};
};

/// The control thread's work: watches the file, judges and publishes configurations, keeps the
/// history, hears of failures, drains. Everything runs on `loop`'s thread but for ask(),
/// traffic_failed() and traffic_succeeded().
class Controller final : public backends::TrafficObserver {
public:
    struct Options {
        std::string config_path;
        std::string state_dir;  ///< Empty: nothing is kept.
        std::uint64_t seed{0};
        /// Told of every accepted snapshot (log level and format).
        std::function<void(const config::Snapshot&)> on_settings;
        /// Drained, or told to end at once.
        std::function<void()> on_done;
    };
    Controller(net::EventLoop& loop, Workers& workers, Options options);
    ~Controller() override;

    /// Reads the file (or what was kept) and begins to watch.
    void start();
    /// SIGHUP.
    void reload();
    /// Stops being ready; listeners close after drain.accept_grace, connections as they become
    /// idle, the rest after drain.timeout. `exit`: then on_done. Calling it again with `exit` while
    /// it exits already ends at once.
    void drain(bool exit);

    Status status() const;
    std::vector<Version> versions() const { return {versions_.begin(), versions_.end()}; }
    std::vector<Event> events(std::uint64_t since) const { return events_.since(since); }
    std::uint64_t last_event_id() const { return events_.last_id(); }
    std::shared_ptr<const config::Snapshot> snapshot() const;
    const std::string& config_path() const { return options_.config_path; }

    /// Runs `question(*this)` on the control thread and waits for the answer; nothing if that
    /// thread does not answer in time. Any other thread.
    template <typename Question>
    auto ask(Question question) -> std::optional<std::invoke_result_t<Question, Controller&>> {
        using Answer = std::invoke_result_t<Question, Controller&>;
        auto promise = std::make_shared<std::promise<Answer>>();
        auto answer = promise->get_future();
        loop_.post([this, promise, question = std::move(question)]() mutable {
            promise->set_value(question(*this));
        });
        constexpr std::chrono::seconds kPatience{3};
        if (answer.wait_for(kPatience) != std::future_status::ready) {
            return std::nullopt;
        }
        return answer.get();
    }

    void traffic_failed(const std::shared_ptr<backends::Backend>& backend,
                        backends::TrafficFailure failure) override;
    void traffic_succeeded(const std::shared_ptr<backends::Backend>& backend) override;

private:
    struct WatchEvents;

    void poll_watcher();
    // controller_certificates.cpp
    void watch_certificates();
    void poll_certificates();
    enum class Retry : bool { No, Yes };
    /// A retry that fails as before says nothing.
    void refresh_certificates(Retry retry = Retry::No);
    void log_issues(std::string_view message, const std::vector<config::Issue>& issues) const;
    std::string format_issue(const config::Issue& issue) const;
    void handle(ConfigWatcher::Result result);
    void unchanged();
    bool is_in_use(const std::string& sha256) const;
    bool consider(const std::string& text, const std::string& sha256, Source source);
    void accept(std::shared_ptr<const config::Snapshot> snapshot, const std::string& text,
                const std::string& sha256, Source source);
    void keep(const std::string& text);
    void await_listeners(std::shared_ptr<const config::Snapshot> snapshot, const std::string& text,
                         const std::string& sha256, Source source);
    void on_listen_timer();
    void reject(std::vector<config::Issue> issues, const std::string& text);
    // controller_rollout.cpp
    using RolloutResult = metrics::RolloutResult;
    void start_on_last_known_good(const config::Snapshot& snapshot, const std::string& sha256);
    bool any_alive() const;
    bool wants_rollout(const config::Snapshot& snapshot, Source source) const;
    bool begin_rollout(Candidate candidate);
    void on_rollout_timer();
    void promote(const std::string& evidence);
    void cannot_promote(const std::vector<config::Issue>& issues);
    void roll_back(const std::string& evidence);
    void end_rolled_back(const std::string& evidence);
    void note_rolled_back(const std::string& text);
    void abandon_rollout();
    void end_rollout();
    void count_rollout(RolloutResult result, const proxy::RolloutCells& cells);
    void add_rollout_status(Status& status) const;

    void use_last_known_good(const std::string& why);
    void listen_without_configuration();
    std::vector<std::string> not_ready_reasons() const;
    BackendStatus backend_status(const runtime::BackendPlan& backend) const;
    BackendStatus unresolved_status(const runtime::BackendPlan& backend) const;
    PoolStatus pool_status(std::size_t index) const;
    void add_trial_pools(std::vector<PoolStatus>& pools) const;
    std::optional<WallTime> wall_time(std::optional<MonotonicTime> at) const;
    void on_transition(const backends::BackendKey& key, const std::string& name,
                       const backends::Transition& transition);
    void on_pool_health(const std::string& pool, bool all_down);
    void on_acknowledged();
    void note(Event event);
    void on_drain_timer();
    bool idle() const;
    void finish_drain();

    net::EventLoop& loop_;
    Workers& workers_;
    const Options options_;
    std::shared_ptr<std::atomic<std::int64_t>> snapshots_live_;
    Publisher publisher_;
    ConfigWatcher watcher_;
    std::unique_ptr<WatchEvents> watch_events_;
    CertificateWatcher certificates_;
    std::unique_ptr<WatchEvents> certificate_events_;
    std::set<std::string> considered_files_;  // of TLS, named by the last configuration looked at
    std::optional<LastReload> rejected_certificates_;
    std::optional<LastKnownGood> last_known_good_;
    std::shared_ptr<const config::Snapshot> snapshot_;
    Source source_{Source::None};
    std::uint64_t generation_{0};
    std::string text_;
    std::string sha256_;
    std::optional<WallTime> applied_;
    std::optional<MonotonicTime> publishing_since_;  // read, and not yet on every worker
    std::optional<ConfigWatcher::Change> file_;      // as last read; nothing: it cannot be
    std::optional<LastReload> last_reload_;
    std::optional<WallTime> last_success_;
    std::array<std::uint64_t, 4> reloads_{};
    struct AwaitingListeners {
        std::shared_ptr<const config::Snapshot> snapshot;
        std::string text;
        std::string sha256;
    };
    std::optional<AwaitingListeners> awaiting_listeners_;  // rejected for an address only
    std::optional<Rollout> rollout_;                       // the publisher has a trial exactly then
    std::optional<RolledBack> rolled_back_;
    std::array<std::uint64_t, metrics::label_count<RolloutResult>()> rollouts_{};
    std::array<SideTotals, metrics::label_count<metrics::RolloutSide>()> rollout_totals_{};
    std::deque<Version> versions_;  // newest first
    EventRing events_;
    bool listening_{false};
    mutable bool was_ready_{false};  // since the start: first checks are asked for once
    enum class DrainStage : std::uint8_t { None, Grace, Finishing, Done };
    DrainStage drain_stage_{DrainStage::None};
    bool exit_when_drained_{false};
    MonotonicTime drain_deadline_;
    net::MemberTimer<Controller, &Controller::poll_watcher> watch_timer_{*this};
    net::MemberTimer<Controller, &Controller::poll_certificates> certificate_timer_{*this};
    net::MemberTimer<Controller, &Controller::on_drain_timer> drain_timer_{*this};
    net::MemberTimer<Controller, &Controller::on_rollout_timer> rollout_timer_{*this};
    net::MemberTimer<Controller, &Controller::on_listen_timer> listen_timer_{*this};
};

}  // namespace rproxy::control
