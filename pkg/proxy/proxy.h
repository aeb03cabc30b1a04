#pragma once

#include "backends/connection_pool.h"
#include "base/rng.h"
#include "http/buffer.h"
#include "http/reason.h"
#include "http1/head_parser.h"
#include "log/access_log.h"
#include "log/rate_limiter.h"
#include "metrics/bounds.h"
#include "metrics/cell.h"
#include "metrics/labels.h"
#include "net/event_loop.h"
#include "proxy/acceptor.h"
#include "proxy/flight_recorder.h"
#include "proxy/large_buffers.h"
#include "proxy/session.h"
#include "proxy/worker_plan.h"
#include "tls/io.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <unordered_map>
#include <vector>

namespace rproxy::proxy {

/// What one worker counts besides listeners, pools and backends.
struct alignas(64) ProxyCells {
    metrics::CounterSet<metrics::RequestRejection> rejected;
    std::array<metrics::Counter, http::kReasons> local_replies;  ///< By http::Reason.
    metrics::Histogram<metrics::kLoopLagBounds> loop_lag;
    metrics::Counter requests_total;
    metrics::Gauge sessions;
    metrics::Gauge exchanges;  ///< Requests and tunnels in progress.
};

/// The data plane of one worker: its listeners, client connections, backend connections and the
/// plan they run on. Created on the control thread; everything else on the worker's, reached by
/// loop().post().
class Proxy {
public:
    struct Options {
        std::size_t worker{0};
        std::uint64_t seed{0};
        backends::TrafficObserver* observer{nullptr};       ///< Outlives the proxy.
        log::AccessLogBuffer* access_log{nullptr};          ///< Outlives the proxy; null: none.
        std::size_t flight_records{FlightRecorder::kMost};  ///< The most that are kept.
        /// Tells the other workers that a slot of a pool is free while requests wait somewhere.
        std::function<void(const std::string& pool)> wake_others;
    };
    Proxy(net::EventLoop& loop, const Options& options);
    ~Proxy();
    Proxy(const Proxy&) = delete;
    Proxy& operator=(const Proxy&) = delete;

    /// A listener's socket for this worker.
    struct Socket {
        std::string address;  ///< Endpoint::to_string as configured.
        net::Fd fd;
    };
    /// A plan with one choice for each of its pools.
    struct Work {
        std::shared_ptr<const runtime::Plan> plan;
        std::vector<std::shared_ptr<const runtime::PoolPolicy>> policies;
    };
    /// What the worker is to do from now on: one plan, or during a rollout two.
    struct Assignment {
        Work stable;
        Work candidate;                       ///< No plan: there is no rollout.
        std::shared_ptr<RolloutCells> cells;  ///< With a candidate only.
        double share{0};                      ///< Of the requests, for the candidate.
    };
    /// Switches to `assignment`: new requests run on its plans, running ones finish on theirs.
    /// Listeners and what concerns a whole client connection (timeouts, limits, log) are those of
    /// the candidate, if there is one. `added` are listeners not open yet; open ones that no plan
    /// has are closed after their waiting clients were accepted.
    void apply(Assignment assignment, std::vector<Socket> added);
    /// Another share for the candidate of the rollout that `cells` belong to.
    void set_share(const RolloutCells* cells, double share);
    /// A new choice for one pool of the plan with this revision, if it is still in use.
    void set_policy(std::uint64_t revision, std::size_t pool,
                    const std::shared_ptr<const runtime::PoolPolicy>& policy);
    /// From now on answers say `Connection: close` and idle connections end after their next
    /// answer.
    void begin_drain() { draining_ = true; }
    /// Stops accepting, after taking what waits; closes idle connections.
    void close_listeners();
    /// Ends everything at once.
    void close_all();
    bool draining() const { return draining_; }
    /// No listener is left: connections end as soon as they are idle.
    bool closing() const { return closing_; }
    /// Read by any thread: sessions and exchanges tell whether the worker is idle.
    const ProxyCells& cells() const { return cells_; }

    // For Session and Exchange:
    ProxyCells& cells() { return cells_; }
    net::EventLoop& loop() { return loop_; }
    Rng& rng() { return rng_; }
    std::size_t worker() const { return options_.worker; }
    backends::TrafficObserver* observer() const { return options_.observer; }
    log::AccessLogBuffer* access_log() const { return options_.access_log; }
    FlightRecorder& recorder() { return recorder_; }
    /// The plan for a new request; null before the first. During a rollout each request draws
    /// anew: shares hold however few clients there are (docs/adr/0009).
    const WorkerPlan::Ref& choose_plan() {
        return candidate_ && rng_.unit() < candidate_share_ ? candidate_ : plan_;
    }
    /// The plan of the other side; only while compares().
    const WorkerPlan::Ref& other_plan(const WorkerPlan::Ref& plan) const {
        return plan->side == RolloutSide::Candidate ? plan_ : candidate_;
    }
    /// Whether both plans of a rollout take requests, so that what begins now is compared.
    bool compares() const { return candidate_ && candidate_share_ > 0; }
    const config::ClientTimeouts& timeouts() const { return settings_->timeouts; }
    const config::Snapshot& settings() const { return *settings_; }
    const http1::HeadLimits& request_limits() const { return request_limits_; }
    const http1::HeadLimits& response_limits() const { return response_limits_; }
    /// Makes room for a body behind a head of `head_size` that stands at the start of `buffer`: a
    /// large head must not leave a body to be read by the byte. Invalidates views.
    void make_body_room(http::Buffer& buffer, std::size_t head_size) const {
        const auto body = static_cast<std::size_t>(settings_->buffer_size.bytes);
        if (buffer.capacity() < head_size + body / 2) {
            buffer.reserve(head_size + body);
        }
    }
    /// Of an exchange's buffer in one direction: buffer_size of body, and room for the head before
    /// it, so that a body of just that size needs one read and not two.
    std::size_t buffer_capacity() const {
        constexpr std::size_t kHeadRoom = 1024;
        return static_cast<std::size_t>(settings_->buffer_size.bytes) + kHeadRoom;
    }
    /// What its TLS sessions share.
    tls::Io& tls_io() { return tls_io_; }
    /// The session's handshake can go on: it will, in this turn or one of the next. Only one step
    /// is done per turn, so that no request waits for more than one key exchange.
    void queue_handshake(Session& session);
    void forget_handshake(Session& session);
    /// The handshake with a backend failed: it is not whom the configuration trusts, or the like.
    void report_insecure_backend(const backends::Backend& backend, std::string_view problem);
    void report_failed_handshake(Session& session, std::string_view problem);
    /// The plan that a request on `plan` should go on with: the newest of its side, while that side
    /// lasts.
    const WorkerPlan::Ref& newest(const WorkerPlan::Ref& plan) const {
        const bool on_trial = plan->side == RolloutSide::Candidate && candidate_ &&
                              candidate_->rollout == plan->rollout;
        return on_trial ? candidate_ : plan_;
    }
    /// Warns if nearly all clients of `pool`, which has keys to watch, are one.
    void watch_key(WorkerPool& pool, const IpAddress& client);
    LargeBuffers& large_buffers() { return large_buffers_; }
    std::unique_ptr<Exchange> take_exchange(Session& session);
    void give_back(std::unique_ptr<Exchange> exchange);
    void forget(Session& session);
    /// A client of `listener` is there.
    void accept(net::Accepted accepted, ClientListener listener);
    /// accept(2) failed for a reason that will pass.
    void report_accept_failure(std::error_code error);
    /// A slot of a backend of `pool` became free; somebody may wait for it.
    void slot_freed(WorkerPool& pool);
    /// `waiter`, in the queue of `pool`, was woken and cannot use the slot: somebody behind it may,
    /// if it is on the other side of a rollout, or `waiter` has tried that backend before.
    void pass_on(const WorkerPool& pool, const Waiter& waiter);
    /// As slot_freed, told by another worker.
    void wake_waiting(const std::string& pool);

private:
    /// Exchanges kept with their buffers: enough that a steady load allocates nothing, few enough
    /// that a burst gives its memory back.
    static constexpr std::size_t kMostStocked = 512;

    backends::ConnectionPool& connection_pool(const std::shared_ptr<backends::Backend>& backend);
    WorkerPlan::Ref set_up(Work work, const std::shared_ptr<RolloutCells>& cells, RolloutSide side);
    void reconcile_listeners(const runtime::Plan& plan, std::vector<Socket> added);
    void retire_missing();
    void sweep_pools();
    void use_settings(const config::Snapshot& settings);
    bool wake_next(Waiter* waiting, bool tell_others);
    void wake_others(const WorkerPool& pool);
    void wake(Waiter& waiter, bool tell_others);
    void wake_all(const WaitQueue& queue);
    void refuse(net::Accepted& accepted, const ClientListener& listener);
    void turn_ended();
    void hand_shake();

    ProxyCells cells_;  // first: it begins a cache line
    net::EventLoop& loop_;
    tls::Io tls_io_;  // outlives all connections
    const Options options_;
    FlightRecorder recorder_;
    XoshiroRng rng_;
    std::map<backends::BackendKey, std::unique_ptr<backends::ConnectionPool>> connection_pools_;
    std::unordered_map<std::string, RetryBudget> budgets_;
    std::unordered_map<std::string, KeyWatch> key_watches_;
    std::unordered_map<std::string, WaitQueue> queues_;  // by pool; never moved
    std::unique_ptr<const config::Snapshot> defaults_;
    std::shared_ptr<const config::Snapshot> snapshot_;
    const config::Snapshot* settings_;  // the present snapshot, or the defaults before the first
    http1::HeadLimits request_limits_;
    http1::HeadLimits response_limits_;
    WorkerPlan::Ref plan_;
    WorkerPlan::Ref candidate_;  // only during a rollout
    double candidate_share_{0};
    std::map<std::string, std::unique_ptr<Acceptor>> acceptors_;  // by address
    Session* sessions_{nullptr};
    LargeBuffers large_buffers_;
    std::vector<std::unique_ptr<Exchange>> stock_;
    std::vector<Session*> woken_;      // to go on at the end of this turn
    std::deque<Session*> handshakes_;  // that can go on, first come first served
    bool draining_{false};
    bool closing_{false};
    net::MemberTimer<Proxy, &Proxy::sweep_pools> sweep_timer_{*this};
    log::RateLimiter accept_failures_{1, std::chrono::seconds{10}};
    log::RateLimiter handshake_failures_{5, std::chrono::seconds{10}};
    log::RateLimiter insecure_backends_{5, std::chrono::seconds{10}};
    log::RateLimiter one_key_warnings_{1, std::chrono::minutes{10}};
};

}  // namespace rproxy::proxy
