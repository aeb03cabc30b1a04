#include "admin/metrics_collector.h"

#include "backends/backend.h"
#include "backends/pool_state.h"
#include "http/reason.h"
#include "metrics/exposition.h"
#include "metrics/process.h"
#include "proxy/proxy.h"

#include <algorithm>
#include <array>

namespace rproxy::admin {

namespace {

using metrics::Exposition;
using metrics::Family;

std::int64_t milliseconds(const std::optional<WallTime>& time) {
    return time ? std::chrono::duration_cast<std::chrono::milliseconds>(time->time_since_epoch())
                      .count()
                : 0;
}

double seconds(MonotonicTime::duration duration) {
    return std::chrono::duration<double>(duration).count();
}

metrics::BackendState shown_state(const control::BackendStatus& backend) {
    if (backend.state == backends::State::Up && backend.slow_start) {
        return metrics::BackendState::SlowStart;
    }
    switch (backend.state) {
        case backends::State::Unknown:
            return metrics::BackendState::Unknown;
        case backends::State::Up:
            return metrics::BackendState::Up;
        case backends::State::Down:
            return metrics::BackendState::Down;
        case backends::State::Ejected:
            return metrics::BackendState::Ejected;
        case backends::State::Draining:
            return metrics::BackendState::Draining;
        case backends::State::Disabled:
            return metrics::BackendState::Disabled;
    }
    return metrics::BackendState::Unknown;
}

/// One backend's cells over all workers.
struct BackendSums {
    std::int64_t active{0};
    std::int64_t idle{0};
    std::int64_t requests_active{0};
    std::uint64_t opened{0};
    std::uint64_t reuses{0};
    std::uint64_t sent{0};
    std::uint64_t received{0};
    std::int64_t last_request{0};
    metrics::CounterSetSum<metrics::ConnectionFailure> connection_failures;
    metrics::CounterSetSum<metrics::ResponseFailure> response_failures;
    metrics::CounterSetSum<metrics::CodeClass> requests;
    metrics::HistogramSum<metrics::kLatencyBounds> response;
    metrics::HistogramSum<metrics::kLatencyBounds> connect;

    explicit BackendSums(const backends::Backend& backend) {
        for (const auto& cells : backend.all_cells()) {
            active += cells.connections_active.value();
            idle += cells.connections_idle.value();
            requests_active += cells.requests_active.value();
            opened += cells.connections_total.value();
            reuses += cells.connection_reuses_total.value();
            sent += cells.sent_bytes.value();
            received += cells.received_bytes.value();
            last_request = std::max(last_request, cells.last_request.milliseconds());
            connection_failures.add(cells.connection_failures);
            response_failures.add(cells.response_failures);
            requests.add(cells.requests);
            response.add(cells.response_duration);
            connect.add(cells.connect_duration);
        }
        connection_failures.add(metrics::ConnectionFailure::Dns, backend.look_up_failures.value());
    }
};

void add_traffic(Exposition& out, const std::string& pool, const control::BackendStatus& backend,
                 bool histograms) {
    const BackendSums sums(*backend.backend);
    const std::initializer_list<std::string_view> labels{pool, backend.name};
    out.add(Family::BackendConnectionsActive, labels, static_cast<double>(sums.active));
    out.add(Family::BackendConnectionsIdle, labels, static_cast<double>(sums.idle));
    out.add(Family::BackendConnectionsTotal, labels, static_cast<double>(sums.opened));
    out.add_each(Family::BackendConnectionFailuresTotal, labels, sums.connection_failures.values());
    out.add(Family::BackendConnectionReusesTotal, labels, static_cast<double>(sums.reuses));
    out.add(Family::BackendRequestsActive, labels, static_cast<double>(sums.requests_active));
    out.add_each(Family::BackendRequestsTotal, labels, sums.requests.values());
    out.add_each(Family::BackendResponseFailuresTotal, labels, sums.response_failures.values());
    out.add(Family::BackendSentBytesTotal, labels, static_cast<double>(sums.sent));
    out.add(Family::BackendReceivedBytesTotal, labels, static_cast<double>(sums.received));
    out.add_timestamp(Family::BackendLastRequestTimestamp, labels, sums.last_request);
    out.add(
        Family::BackendLatencyEwma, labels,
        static_cast<double>(backend.backend->load().ewma_ns.load(std::memory_order_relaxed)) / 1e9);
    if (histograms) {
        out.add_histogram(Family::BackendResponseDuration, labels, sums.response.counts(),
                          sums.response.sum());
        out.add_histogram(Family::BackendConnectDuration, labels, sums.connect.counts(),
                          sums.connect.sum());
    }
}

void add_health(Exposition& out, const std::string& pool, const control::BackendStatus& backend,
                bool histograms) {
    const std::initializer_list<std::string_view> labels{pool, backend.name};
    const auto& facts = backend.facts;
    out.add(Family::BackendUp, labels, backend.eligible ? 1 : 0);
    out.add_state(Family::BackendState, labels, static_cast<std::size_t>(shown_state(backend)));
    out.add_timestamp(Family::BackendUpSinceTimestamp, labels, milliseconds(facts.up_since));
    out.add(Family::BackendUptime, labels, seconds(facts.uptime));
    out.add(Family::BackendUpSecondsTotal, labels, seconds(facts.total_up));
    out.add(Family::BackendDownSecondsTotal, labels, seconds(facts.total_down));
    out.add_timestamp(Family::BackendLastCrashTimestamp, labels, milliseconds(facts.last_crash));
    out.add_each(Family::BackendCrashesTotal, labels, facts.crashes);
    out.add_timestamp(Family::BackendLastRecoveryTimestamp, labels,
                      milliseconds(facts.last_recovery));
    out.add(Family::BackendStateChangesTotal, labels, static_cast<double>(facts.state_changes));
    out.add_each(Family::BackendHealthChecksTotal, labels, facts.checks);
    if (facts.last_check) {
        out.add_timestamp(Family::BackendLastHealthCheckTimestamp, labels,
                          milliseconds(facts.last_check->at));
    }
    out.add(Family::BackendWeight, labels, backend.weight);
    out.add(Family::BackendEffectiveWeight, labels, backend.effective_weight);
    out.add(Family::BackendInfo, {pool, backend.name, backend.address}, 1);
    if (histograms) {
        out.add_histogram(Family::BackendHealthCheckDuration, labels,
                          backend.check_durations.counts(), backend.check_durations.sum());
    }
}

void add_codes(Exposition& out, const control::PoolStatus& pool) {
    // Every class has a series from the start, by its plainest code; others appear when seen.
    constexpr std::array<std::uint16_t, 4> kAlways{200, 404, 502, 503};
    for (std::uint16_t code = backends::CodeCounters::kFirst; code <= backends::CodeCounters::kLast;
         ++code) {
        metrics::CounterSetSum<metrics::RequestMethod> sum;
        bool seen = std::ranges::find(kAlways, code) != kAlways.end();
        const bool always = seen;
        for (const auto& cells : pool.state->all_cells()) {
            if (const auto* const row = cells->requests.row(code)) {
                sum.add(*row);
                seen = true;
            }
        }
        if (!seen) {
            continue;
        }
        const std::string text = std::to_string(code);
        for (std::size_t method = 0; method < sum.values().size(); ++method) {
            const bool usual = always && method == 0;
            if (usual || sum.values()[method] != 0) {
                out.add(Family::PoolRequestsTotal,
                        {pool.name, text, metrics::kRequestMethodNames[method]},
                        static_cast<double>(sum.values()[method]));
            }
        }
    }
}

void add_pool(Exposition& out, const control::PoolStatus& pool) {
    std::array<std::uint64_t, metrics::kBackendStateNames.size()> states{};
    for (const auto& backend : pool.backends) {
        states[static_cast<std::size_t>(shown_state(backend))] += backend.departed ? 0 : 1;
    }
    out.add_each(Family::PoolBackends, {pool.name}, states);
    add_codes(out, pool);
    metrics::CounterSetSum<metrics::RetryReason> retries;
    metrics::CounterSetSum<metrics::RetryDenial> denied;
    metrics::CounterSetSum<metrics::QueueRejection> rejections;
    metrics::HistogramSum<metrics::kLatencyBounds> queue;
    std::array<metrics::HistogramSum<metrics::kLatencyBounds>, metrics::kCodeClassNames.size()>
        durations;
    std::uint64_t no_backend = 0;
    std::uint64_t fail_open = 0;
    std::int64_t queued = 0;
    std::int64_t upgraded = 0;
    for (const auto& cells : pool.state->all_cells()) {
        retries.add(cells->retries);
        denied.add(cells->retries_denied);
        rejections.add(cells->queue_rejections);
        queue.add(cells->queue_duration);
        no_backend += cells->no_backend.value();
        fail_open += cells->fail_open_requests.value();
        queued += cells->queue_length.value();
        upgraded += cells->upgraded_connections_active.value();
        for (std::size_t i = 0; i < durations.size(); ++i) {
            durations[i].add(cells->request_duration[i]);
        }
    }
    for (std::size_t i = 0; i < durations.size(); ++i) {
        out.add_histogram(Family::PoolRequestDuration, {pool.name, metrics::kCodeClassNames[i]},
                          durations[i].counts(), durations[i].sum());
    }
    out.add_each(Family::PoolRetriesTotal, {pool.name}, retries.values());
    out.add_each(Family::PoolRetriesDeniedTotal, {pool.name}, denied.values());
    out.add(Family::PoolNoBackendTotal, {pool.name}, static_cast<double>(no_backend));
    out.add(Family::PoolFailOpen, {pool.name}, pool.fail_open ? 1 : 0);
    out.add(Family::PoolFailOpenRequestsTotal, {pool.name}, static_cast<double>(fail_open));
    out.add(Family::PoolQueueLength, {pool.name}, static_cast<double>(queued));
    out.add_histogram(Family::PoolQueueDuration, {pool.name}, queue.counts(), queue.sum());
    out.add_each(Family::PoolQueueRejectionsTotal, {pool.name}, rejections.values());
    out.add_timestamp(Family::PoolAllDownSinceTimestamp, {pool.name},
                      milliseconds(pool.all_down_since));
    out.add(Family::UpgradedConnectionsActive, {pool.name}, static_cast<double>(upgraded));
}

void add_tls(Exposition& out, const runtime::ListenerPlan& listener) {
    metrics::CounterSetSum<metrics::HandshakeResult> results;
    std::array<metrics::CounterSetSum<metrics::HandshakeKind>, metrics::kTlsVersionNames.size()>
        by_version;
    for (const auto& cells : listener.state->cells) {
        results.add(cells.handshakes);
        for (std::size_t i = 0; i < by_version.size(); ++i) {
            by_version[i].add(cells.handshakes_by_version[i]);
        }
    }
    const std::string& name = listener.state->name;
    out.add_each(Family::TlsHandshakesTotal, {name}, results.values());
    for (std::size_t i = 0; i < by_version.size(); ++i) {
        out.add_each(Family::TlsHandshakesByVersionTotal, {name, metrics::kTlsVersionNames[i]},
                     by_version[i].values());
    }
    // Certificates of one name (RSA and ECDSA side by side) are one: the first to expire counts.
    std::map<std::string, WallTime> not_after;
    for (const auto& shown : listener.rules->tls->shown()) {
        const auto [known, is_new] = not_after.try_emplace(shown.name, shown.not_after);
        known->second = is_new ? known->second : std::min(known->second, shown.not_after);
    }
    for (const auto& [certificate, time] : not_after) {
        out.add_timestamp(Family::TlsCertificateNotAfterTimestamp, {name, certificate},
                          milliseconds(time));
    }
}

void add_listeners(Exposition& out, const control::Status& status) {
    if (!status.plan) {
        return;
    }
    for (const auto& listener : status.plan->listeners) {
        std::int64_t active = 0;
        std::int64_t requests = 0;
        std::uint64_t total = 0;
        metrics::CounterSetSum<metrics::ListenerRejection> rejected;
        for (const auto& cells : listener.state->cells) {
            active += cells.connections_active.value();
            requests += cells.requests_active.value();
            total += cells.connections_total.value();
            rejected.add(cells.connections_rejected);
        }
        const std::string& name = listener.state->name;
        out.add(Family::ListenerConnectionsActive, {name}, static_cast<double>(active));
        out.add(Family::ListenerConnectionsTotal, {name}, static_cast<double>(total));
        out.add_each(Family::ListenerConnectionsRejectedTotal, {name}, rejected.values());
        out.add(Family::ListenerRequestsActive, {name}, static_cast<double>(requests));
        if (listener.rules && listener.rules->tls) {
            add_tls(out, listener);
        }
    }
}

void add_workers(Exposition& out, const control::Workers& workers) {
    metrics::CounterSetSum<metrics::RequestRejection> rejected;
    metrics::HistogramSum<metrics::kLoopLagBounds> lag;
    // LocalReason is http::Reason without its first (None) and its last (ClientClosed).
    std::array<std::uint64_t, metrics::kLocalReasonNames.size()> local{};
    static_assert(http::kReasons == metrics::kLocalReasonNames.size() + 2);
    for (const auto& member : workers.members()) {
        const auto& cells = std::as_const(*member.proxy).cells();
        rejected.add(cells.rejected);
        lag.add(cells.loop_lag);
        for (std::size_t i = 0; i < local.size(); ++i) {
            local[i] += cells.local_replies[i + 1].value();
        }
    }
    out.add_each(Family::RequestsRejectedTotal, {}, rejected.values());
    out.add_each(Family::LocalResponsesTotal, {}, local);
    out.add_histogram(Family::EventLoopLag, {}, lag.counts(), lag.sum());
}

void add_rollout(Exposition& out, const control::Status& status) {
    out.add(Family::ConfigRolloutActive, {}, status.rollout ? 1 : 0);
    out.add(Family::ConfigRolloutShare, {}, status.rollout ? status.rollout->share : 0);
    out.add_each(Family::ConfigRolloutsTotal, {}, status.rollouts);
    for (std::size_t side = 0; side < status.rollout_totals.size(); ++side) {
        const auto& totals = status.rollout_totals[side];
        const auto name = metrics::kRolloutSideNames[side];
        out.add(Family::ConfigRolloutRequestsTotal, {name}, static_cast<double>(totals.requests));
        out.add(Family::ConfigRolloutFailuresTotal, {name}, static_cast<double>(totals.failures));
        out.add_histogram(Family::ConfigRolloutAnswerDuration, {name}, totals.answer_time.counts(),
                          totals.answer_time.sum());
    }
}

void add_config(Exposition& out, const control::Status& status) {
    out.add_each(Family::ConfigReloadsTotal, {}, status.reloads);
    const auto& last = status.last_reload;
    const bool failed = !last || status.rejected_certificates ||
                        last->result == control::ReloadResult::Rejected ||
                        last->result == control::ReloadResult::RolledBack;
    out.add(Family::ConfigLastReloadSuccessful, {}, failed ? 0 : 1);
    out.add_timestamp(Family::ConfigLastReloadTimestamp, {}, last ? milliseconds(last->at) : 0);
    out.add_timestamp(Family::ConfigLastReloadSuccessTimestamp, {},
                      milliseconds(status.last_success));
    out.add(Family::ConfigGeneration, {}, static_cast<double>(status.generation));
    const bool none = status.source == control::Source::None;
    out.add(Family::ConfigInfo,
            {status.sha256, none ? std::string_view("default") : control::to_string(status.source)},
            1);
    out.add(Family::ConfigSnapshotsLive, {}, static_cast<double>(status.snapshots_live));
    add_rollout(out, status);
}

}  // namespace

void MetricsCollector::remember_departed(control::Status& status) {
    std::map<RowKey, control::BackendStatus> shown;
    for (const auto& pool : status.pools) {
        for (const auto& backend : pool.backends) {
            shown.emplace(RowKey{pool.name, backend.name}, backend);
        }
    }
    for (auto& [key, backend] : shown_) {
        const auto pool = std::ranges::find(status.pools, key.first, &control::PoolStatus::name);
        if (pool == status.pools.end() || shown.contains(key)) {
            continue;
        }
        // A new name for the same backend has its counts already.
        const bool renamed =
            std::ranges::find(pool->backends, backend.backend, &control::BackendStatus::backend) !=
            pool->backends.end();
        if (!renamed) {
            backend.eligible = false;
            backend.departed = true;
            pool->backends.push_back(backend);
        }
    }
    shown_ = std::move(shown);
}

std::string MetricsCollector::render(control::Status status) {
    remember_departed(status);
    const auto settings = status.plan ? status.plan->snapshot->metrics : config::Metrics{};
    Exposition out(settings.max_series, series_dropped_);
    std::size_t backends = 0;
    for (const auto& pool : status.pools) {
        backends += pool.backends.size();
    }
    const bool histograms = backends <= settings.backend_histograms_up_to;
    for (const auto& pool : status.pools) {
        for (const auto& backend : pool.backends) {
            add_traffic(out, pool.name, backend, histograms);
            add_health(out, pool.name, backend, histograms);
            // Requests wait for the pool's next free slot, whichever backend has it.
            const auto waiting = pool.state->waiting.load(std::memory_order_relaxed);
            out.add(Family::BackendQueueLength, {pool.name, backend.name},
                    backend.eligible ? waiting : 0);
        }
        add_pool(out, pool);
    }
    add_listeners(out, status);
    add_workers(out, workers_);
    add_config(out, status);
    out.add(Family::Ready, {}, status.not_ready.empty() ? 1 : 0);
    out.add(Family::Draining, {}, status.draining ? 1 : 0);
    out.add(Family::BuildInfo, {build_.version, build_.revision, build_.compiler}, 1);
    if (access_log_ != nullptr) {
        out.add(Family::AccessLogLinesDroppedTotal, {},
                static_cast<double>(access_log_->dropped()));
    }
    const auto process = metrics::read_process_stats();
    if (process.resident_bytes) {
        out.add(Family::MemoryUsed, {metrics::to_string(metrics::MemoryKind::Resident)},
                static_cast<double>(*process.resident_bytes));
    }
    if (const auto limit = metrics::read_memory_limit()) {
        out.add(Family::MemoryBudget, {}, static_cast<double>(*limit));
    }
    metrics::add_process(out, process);
    return out.render();
}

}  // namespace rproxy::admin
