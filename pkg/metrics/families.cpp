#include "metrics/families.h"

#include "metrics/bounds.h"
#include "metrics/labels.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace rproxy::metrics {

namespace {

using Labels = std::array<std::string_view, 3>;
constexpr Labels kNoLabels{};
constexpr Labels kPerBackend{"pool", "backend"};
constexpr Labels kPerPool{"pool"};
constexpr Labels kPerListener{"listener"};

constexpr Labels with(Labels labels, std::string_view name) {
    *std::ranges::find(labels, std::string_view{}) = name;
    return labels;
}

template <typename Label>
constexpr std::array<std::string_view, label_count<Label>()> kNamesOf = label_names<Label>();

template <typename Label>
constexpr std::span<const std::string_view> names_of() {
    return kNamesOf<Label>;
}

constexpr Definition counter(Family family, std::string_view name, Section section, Labels labels,
                             std::string_view help) {
    return {family, name, Type::Counter, section, labels, {}, {}, help};
}

constexpr Definition gauge(Family family, std::string_view name, Section section, Labels labels,
                           std::string_view help) {
    return {family, name, Type::Gauge, section, labels, {}, {}, help};
}

/// The same with one more label, whose values are those of `Label`.
template <typename Label>
constexpr Definition by(Definition definition, std::string_view label_name) {
    definition.label_names = with(definition.label_names, label_name);
    definition.known_values = names_of<Label>();
    return definition;
}

constexpr Definition histogram(Definition definition,
                               std::span<const std::chrono::nanoseconds> bounds) {
    definition.type = Type::Histogram;
    definition.bounds = bounds;
    return definition;
}

constexpr auto kBackendSection = std::to_array<Definition>({
    gauge(Family::BackendConnectionsActive, "rproxy_backend_connections_active", Section::Backend,
          kPerBackend, "Connections now open to the backend, in use and idle."),
    counter(Family::BackendConnectionsTotal, "rproxy_backend_connections_total", Section::Backend,
            kPerBackend, "Connections opened to the backend since start."),
    gauge(Family::BackendUpSinceTimestamp, "rproxy_backend_up_since_timestamp_seconds",
          Section::Backend, kPerBackend,
          "Start of the current uptime as Unix time; absent while the backend is down."),
    gauge(Family::BackendUptime, "rproxy_backend_uptime_seconds", Section::Backend, kPerBackend,
          "Time since the backend last came up; 0 while it is down."),
    gauge(Family::BackendLastRequestTimestamp, "rproxy_backend_last_request_timestamp_seconds",
          Section::Backend, kPerBackend,
          "When the last client request was assigned, probes excluded, as Unix time; absent until "
          "the first."),
    gauge(Family::BackendLastCrashTimestamp, "rproxy_backend_last_crash_timestamp_seconds",
          Section::Backend, kPerBackend,
          "Last time that failures took the backend out of rotation, as Unix time; absent until "
          "then. Drain, disable and configuration are no crash."),
    gauge(Family::BackendUp, "rproxy_backend_up", Section::Backend, kPerBackend,
          "1 if the backend is eligible for traffic now."),
    by<BackendState>(
        gauge(Family::BackendState, "rproxy_backend_state", Section::Backend, kPerBackend,
              "1 for the state that the backend is in, 0 for the others."),
        "state"),
    by<CodeClass>(counter(Family::BackendRequestsTotal, "rproxy_backend_requests_total",
                          Section::Backend, kPerBackend,
                          "Attempts at the backend, retries included, by status class; error: no "
                          "response."),
                  "code"),
    gauge(Family::BackendRequestsActive, "rproxy_backend_requests_active", Section::Backend,
          kPerBackend, "Requests in flight to the backend."),
    by<CrashReason>(counter(Family::BackendCrashesTotal, "rproxy_backend_crashes_total",
                            Section::Backend, kPerBackend,
                            "Times that failures took the backend out of rotation, by the last "
                            "failure."),
                    "reason"),
    gauge(Family::BackendInfo, "rproxy_backend_info", Section::Backend,
          with(kPerBackend, "address"), "1; joins the backend's address to its name."),
    by<ConnectionFailure>(
        counter(Family::BackendConnectionFailuresTotal, "rproxy_backend_connection_failures_total",
                Section::Backend, kPerBackend, "Connections to the backend that failed to open."),
        "reason"),
    by<ResponseFailure>(
        counter(Family::BackendResponseFailuresTotal, "rproxy_backend_response_failures_total",
                Section::Backend, kPerBackend,
                "Attempts without a complete, valid response from the backend."),
        "reason"),
    counter(Family::BackendUpSecondsTotal, "rproxy_backend_up_seconds_total", Section::Backend,
            kPerBackend, "Time that the backend was eligible for traffic."),
    counter(Family::BackendDownSecondsTotal, "rproxy_backend_down_seconds_total", Section::Backend,
            kPerBackend, "Time that the backend was down or ejected."),
    counter(Family::BackendStateChangesTotal, "rproxy_backend_state_changes_total",
            Section::Backend, kPerBackend, "Changes of the backend's state."),
    gauge(Family::BackendLastRecoveryTimestamp, "rproxy_backend_last_recovery_timestamp_seconds",
          Section::Backend, kPerBackend,
          "When the backend last came back after a crash, as Unix time; absent until then."),
    gauge(Family::BackendLastHealthCheckTimestamp,
          "rproxy_backend_last_health_check_timestamp_seconds", Section::Backend, kPerBackend,
          "When the last health check of the backend ended, as Unix time; absent until the first."),
    gauge(Family::BackendLatencyEwma, "rproxy_backend_latency_ewma_seconds", Section::Backend,
          kPerBackend,
          "Moving average of the time to the first response byte, as balancing uses it."),
    gauge(Family::BackendConnectionsIdle, "rproxy_backend_connections_idle", Section::Backend,
          kPerBackend, "Of the open connections, those that wait for reuse."),
    counter(Family::BackendConnectionReusesTotal, "rproxy_backend_connection_reuses_total",
            Section::Backend, kPerBackend,
            "Requests sent on a connection that had served another."),
    gauge(Family::BackendQueueLength, "rproxy_backend_queue_length", Section::Backend, kPerBackend,
          "Requests that wait for this backend or another of its pool, whichever is free first; 0 "
          "while it is not offered any."),
    gauge(Family::BackendWeight, "rproxy_backend_weight", Section::Backend, kPerBackend,
          "Weight in the configuration."),
    gauge(Family::BackendEffectiveWeight, "rproxy_backend_effective_weight", Section::Backend,
          kPerBackend, "Weight that balancing uses now, after slow start."),
    by<HealthCheckResult>(
        counter(Family::BackendHealthChecksTotal, "rproxy_backend_health_checks_total",
                Section::Backend, kPerBackend, "Health checks of the backend, by result."),
        "result"),
    counter(Family::BackendSentBytesTotal, "rproxy_backend_sent_bytes_total", Section::Backend,
            kPerBackend, "Bytes of heads and bodies sent to the backend."),
    counter(Family::BackendReceivedBytesTotal, "rproxy_backend_received_bytes_total",
            Section::Backend, kPerBackend, "Bytes of heads and bodies received from the backend."),
    histogram(gauge(Family::BackendResponseDuration, "rproxy_backend_response_duration_seconds",
                    Section::Backend, kPerBackend,
                    "Time from the request sent to the first response byte. Only with at most "
                    "metrics.backend_histograms_up_to backends."),
              kLatencyBounds),
    histogram(gauge(Family::BackendConnectDuration, "rproxy_backend_connect_duration_seconds",
                    Section::Backend, kPerBackend,
                    "Time to open a connection, TLS included. Only with at most "
                    "metrics.backend_histograms_up_to backends."),
              kLatencyBounds),
    histogram(gauge(Family::BackendHealthCheckDuration,
                    "rproxy_backend_health_check_duration_seconds", Section::Backend, kPerBackend,
                    "Duration of health checks. Only with at most metrics.backend_histograms_up_to "
                    "backends."),
              kHealthCheckBounds),
});

constexpr auto kPoolSection = std::to_array<Definition>({
    by<BackendState>(gauge(Family::PoolBackends, "rproxy_pool_backends", Section::Pool, kPerPool,
                           "Backends of the pool, by state."),
                     "state"),
    by<RequestMethod>(
        counter(Family::PoolRequestsTotal, "rproxy_pool_requests_total", Section::Pool,
                with(kPerPool, "code"),
                "Requests by the status that the client got; 499: it left before one. "
                "A code is exported once it was seen."),
        "method"),
    by<CodeClass>(histogram(gauge(Family::PoolRequestDuration,
                                  "rproxy_pool_request_duration_seconds", Section::Pool, kPerPool,
                                  "Time from the request head read to the response ended, retries "
                                  "and queueing included, by status class; error: the client left "
                                  "before a status."),
                            kLatencyBounds),
                  "code_class"),
    by<RetryReason>(counter(Family::PoolRetriesTotal, "rproxy_pool_retries_total", Section::Pool,
                            kPerPool, "Attempts after the first, by what failed before."),
                    "reason"),
    by<RetryDenial>(
        counter(Family::PoolRetriesDeniedTotal, "rproxy_pool_retries_denied_total", Section::Pool,
                kPerPool, "Failed attempts that were not repeated, by the reason."),
        "reason"),
    counter(Family::PoolNoBackendTotal, "rproxy_pool_no_backend_total", Section::Pool, kPerPool,
            "Requests that found no eligible backend."),
    gauge(Family::PoolFailOpen, "rproxy_pool_fail_open", Section::Pool, kPerPool,
          "1 while no backend is up and requests are tried on backends that are down."),
    counter(Family::PoolFailOpenRequestsTotal, "rproxy_pool_fail_open_requests_total",
            Section::Pool, kPerPool, "Requests tried on a backend that was down."),
    gauge(Family::PoolAllDownSinceTimestamp, "rproxy_pool_all_down_since_timestamp_seconds",
          Section::Pool, kPerPool,
          "Since when no backend of the pool is up, as Unix time; absent while one is."),
    gauge(Family::PoolQueueLength, "rproxy_pool_queue_length", Section::Pool, kPerPool,
          "Requests that wait for a free backend."),
    by<QueueRejection>(
        counter(Family::PoolQueueRejectionsTotal, "rproxy_pool_queue_rejections_total",
                Section::Pool, kPerPool, "Requests that waited in vain or found the queue full."),
        "reason"),
    histogram(gauge(Family::PoolQueueDuration, "rproxy_pool_queue_duration_seconds", Section::Pool,
                    kPerPool, "Time that requests waited for a free backend."),
              kLatencyBounds),
    gauge(Family::UpgradedConnectionsActive, "rproxy_upgraded_connections_active", Section::Pool,
          kPerPool, "Tunnels (WebSocket and other upgrades) now open."),
});

constexpr auto kListenerSection = std::to_array<Definition>({
    gauge(Family::ListenerConnectionsActive, "rproxy_listener_connections_active",
          Section::Listener, kPerListener, "Client connections now open."),
    counter(Family::ListenerConnectionsTotal, "rproxy_listener_connections_total",
            Section::Listener, kPerListener, "Client connections accepted."),
    by<ListenerRejection>(counter(Family::ListenerConnectionsRejectedTotal,
                                  "rproxy_listener_connections_rejected_total", Section::Listener,
                                  kPerListener, "Client connections closed before a request."),
                          "reason"),
    gauge(Family::ListenerRequestsActive, "rproxy_listener_requests_active", Section::Listener,
          kPerListener, "Client requests in flight."),
    by<RequestRejection>(
        counter(Family::RequestsRejectedTotal, "rproxy_requests_rejected_total", Section::Listener,
                kNoLabels, "Requests refused before a pool was chosen."),
        "reason"),
    by<LocalReason>(
        counter(Family::LocalResponsesTotal, "rproxy_local_responses_total", Section::Listener,
                kNoLabels, "Answers that the proxy made itself, by their X-Rproxy-Reason."),
        "reason"),
    by<HandshakeResult>(counter(Family::TlsHandshakesTotal, "rproxy_tls_handshakes_total",
                                Section::Listener, kPerListener,
                                "TLS handshakes with clients; refused: more than handshake.limit "
                                "at a time. A client that goes without a word is not counted."),
                        "result"),
    by<HandshakeKind>(
        counter(Family::TlsHandshakesByVersionTotal, "rproxy_tls_handshakes_by_version_total",
                Section::Listener, with(kPerListener, "version"),
                "Successful TLS handshakes by version; resumed: an earlier session went on."),
        "kind"),
    gauge(Family::TlsCertificateNotAfterTimestamp,
          "rproxy_tls_certificate_not_after_timestamp_seconds", Section::Listener,
          with(kPerListener, "name"), "When the certificate expires, as Unix time."),
});

constexpr auto kConfigSection = std::to_array<Definition>({
    by<ReloadResult>(
        counter(Family::ConfigReloadsTotal, "rproxy_config_reloads_total", Section::Config,
                kNoLabels, "Configurations read, by what became of them."),
        "result"),
    gauge(Family::ConfigLastReloadSuccessful, "rproxy_config_last_reload_successful",
          Section::Config, kNoLabels,
          "1 if the configuration read last was valid, 0 if it was rejected or rolled back."),
    gauge(Family::ConfigLastReloadTimestamp, "rproxy_config_last_reload_timestamp_seconds",
          Section::Config, kNoLabels,
          "When a configuration was last read, as Unix time; absent until the first."),
    gauge(Family::ConfigLastReloadSuccessTimestamp,
          "rproxy_config_last_reload_success_timestamp_seconds", Section::Config, kNoLabels,
          "When a configuration was last applied, as Unix time; absent until the first."),
    gauge(Family::ConfigGeneration, "rproxy_config_generation", Section::Config, kNoLabels,
          "Number of the configuration in force; 0: none yet."),
    gauge(Family::ConfigInfo, "rproxy_config_info", Section::Config,
          with(with(kNoLabels, "hash"), "source"),
          "1; the SHA-256 of the configuration in force and where it came from: file, "
          "last_known_good, or default while there is none."),
    gauge(Family::ConfigSnapshotsLive, "rproxy_config_snapshots_live", Section::Config, kNoLabels,
          "Configurations still in use; returns to 1 after a reload."),
    gauge(Family::ConfigRolloutActive, "rproxy_config_rollout_active", Section::Config, kNoLabels,
          "1 while a configuration is on trial beside the one in force."),
    gauge(Family::ConfigRolloutShare, "rproxy_config_rollout_share", Section::Config, kNoLabels,
          "Part of the requests that the configuration on trial takes now, 0 to 1."),
    by<RolloutResult>(counter(Family::ConfigRolloutsTotal, "rproxy_config_rollouts_total",
                              Section::Config, kNoLabels, "Rollouts that have ended, by how."),
                      "result"),
    by<RolloutSide>(
        counter(Family::ConfigRolloutRequestsTotal, "rproxy_config_rollout_requests_total",
                Section::Config, kNoLabels, "Requests compared during rollouts."),
        "side"),
    by<RolloutSide>(
        counter(Family::ConfigRolloutFailuresTotal, "rproxy_config_rollout_failures_total",
                Section::Config, kNoLabels,
                "Of them, answered with 5xx, cut off, or answered by the proxy itself for a "
                "reason that is not the client's."),
        "side"),
    histogram(by<RolloutSide>(
                  gauge(Family::ConfigRolloutAnswerDuration,
                        "rproxy_config_rollout_answer_duration_seconds", Section::Config, kNoLabels,
                        "From the first byte of a compared request to the head of its "
                        "answer."),
                  "side"),
              kLatencyBounds),
});

constexpr auto kProcessSection = std::to_array<Definition>({
    gauge(Family::Ready, "rproxy_ready", Section::Process, kNoLabels, "1 if /readyz says ready."),
    gauge(Family::Draining, "rproxy_draining", Section::Process, kNoLabels,
          "1 while the process drains before its end."),
    gauge(Family::MemoryBudget, "rproxy_memory_budget_bytes", Section::Process, kNoLabels,
          "Memory that the process may use, from the container's limit; absent without one."),
    by<MemoryKind>(
        gauge(Family::MemoryUsed, "rproxy_memory_used_bytes", Section::Process, kNoLabels,
              "Memory in use: resident is the whole process, buffers the part that "
              "requests in flight hold."),
        "kind"),
    histogram(gauge(Family::EventLoopLag, "rproxy_event_loop_lag_seconds", Section::Process,
                    kNoLabels, "How late the workers' event loops ran a timer that was due."),
              kLoopLagBounds),
    counter(Family::MetricsSeriesDroppedTotal, "rproxy_metrics_series_dropped_total",
            Section::Process, kNoLabels,
            "Series left out of scrapes because of metrics.max_series."),
    counter(Family::AccessLogLinesDroppedTotal, "rproxy_access_log_lines_dropped_total",
            Section::Process, kNoLabels,
            "Access log lines lost because their reader was slower than the requests."),
    gauge(Family::BuildInfo, "rproxy_build_info", Section::Process,
          with(with(with(kNoLabels, "version"), "revision"), "compiler"),
          "1; what was built, from what, with what."),
    counter(Family::ProcessCpuSecondsTotal, "process_cpu_seconds_total", Section::Process,
            kNoLabels, "Total user and system CPU time spent in seconds."),
    gauge(Family::ProcessStartTime, "process_start_time_seconds", Section::Process, kNoLabels,
          "Start time of the process since unix epoch in seconds."),
    gauge(Family::ProcessResidentMemory, "process_resident_memory_bytes", Section::Process,
          kNoLabels, "Resident memory size in bytes."),
    gauge(Family::ProcessVirtualMemory, "process_virtual_memory_bytes", Section::Process, kNoLabels,
          "Virtual memory size in bytes."),
    gauge(Family::ProcessOpenFds, "process_open_fds", Section::Process, kNoLabels,
          "Number of open file descriptors."),
    gauge(Family::ProcessMaxFds, "process_max_fds", Section::Process, kNoLabels,
          "Maximum number of open file descriptors."),
});

constexpr std::size_t kFamilies = kBackendSection.size() + kPoolSection.size() +
                                  kListenerSection.size() + kConfigSection.size() +
                                  kProcessSection.size();

constexpr std::array<Definition, kFamilies> joined() {
    std::array<Definition, kFamilies> all;
    auto out = std::ranges::copy(kBackendSection, all.begin()).out;
    out = std::ranges::copy(kPoolSection, out).out;
    out = std::ranges::copy(kListenerSection, out).out;
    out = std::ranges::copy(kConfigSection, out).out;
    std::ranges::copy(kProcessSection, out);
    return all;
}

constexpr auto kDefinitions = joined();

constexpr bool in_order_of_enum() {
    for (std::size_t i = 0; i < kDefinitions.size(); ++i) {
        if (kDefinitions[i].family != static_cast<Family>(i)) {
            return false;
        }
    }
    return kDefinitions.back().family == Family::ProcessMaxFds;
}
static_assert(in_order_of_enum(), "the tables and enum Family must list the same in one order");

constexpr std::string_view title(Section section) {
    switch (section) {
        case Section::Backend:
            return "Per backend";
        case Section::Pool:
            return "Per pool";
        case Section::Listener:
            return "Listeners and requests";
        case Section::Config:
            return "Configuration";
        case Section::Process:
            return "Process";
    }
    std::unreachable();
}

std::string seconds_text(std::chrono::nanoseconds duration) {
    std::array<char, 32> text{};
    const auto end = std::to_chars(text.data(), text.data() + text.size(),
                                   std::chrono::duration<double>(duration).count())
                         .ptr;
    return {text.data(), end};
}

/// `{pool, backend, code}`, or nothing.
std::string label_list(const Definition& definition) {
    std::string text;
    for (std::size_t i = 0; i < definition.label_count(); ++i) {
        text += text.empty() ? "{" : ", ";
        text += definition.label_names[i];
    }
    return text.empty() ? text : text + "}";
}

std::string meaning(const Definition& definition) {
    std::string text{definition.help};
    if (!definition.known_values.empty()) {
        text += " `" + std::string{definition.label_names[definition.label_count() - 1]} + "`: ";
        for (std::size_t i = 0; i < definition.known_values.size(); ++i) {
            text += i == 0 ? "`" : ", `";
            text += definition.known_values[i];
            text += "`";
        }
        text += ".";
    }
    if (!definition.bounds.empty()) {
        text += " Buckets:";
        for (const auto bound : definition.bounds) {
            text += " " + seconds_text(bound);
        }
        text += ".";
    }
    return text;
}

}  // namespace

std::span<const Definition> definitions() {
    return kDefinitions;
}

const Definition& definition(Family family) {
    return kDefinitions[static_cast<std::size_t>(family)];
}

std::optional<Family> find_family(std::string_view name) {
    const auto* const found = std::ranges::find(kDefinitions, name, &Definition::name);
    return found == kDefinitions.end() ? std::nullopt : std::optional{found->family};
}

std::string_view to_string(Type type) {
    switch (type) {
        case Type::Counter:
            return "counter";
        case Type::Gauge:
            return "gauge";
        case Type::Histogram:
            return "histogram";
    }
    std::unreachable();
}

std::string reference_markdown() {
    std::string text;
    std::optional<Section> current;
    for (const auto& family : kDefinitions) {
        if (current != family.section) {
            current = family.section;
            text += text.empty() ? "" : "\n";
            text += "### " + std::string{title(family.section)} + "\n\n";
            text += "| Metric | Type | Meaning |\n|---|---|---|\n";
        }
        text += "| `" + std::string{family.name} + label_list(family) + "` | ";
        text += std::string{to_string(family.type)} + " | " + meaning(family) + " |\n";
    }
    return text;
}

}  // namespace rproxy::metrics
