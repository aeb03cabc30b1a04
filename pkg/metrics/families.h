#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

/// Every metric of the product, once. docs/metrics.md is generated from this table, the exposition
/// takes names, help and types from it, and the dashboards and alerts are tested against it.
namespace rproxy::metrics {

/// In the order of the exposition, which within a section is also the order of importance: where
/// `max_series` forces a choice, later families go first.
enum class Family : std::uint8_t {
    BackendConnectionsActive,
    BackendConnectionsTotal,
    BackendUpSinceTimestamp,
    BackendUptime,
    BackendLastRequestTimestamp,
    BackendLastCrashTimestamp,
    BackendUp,
    BackendState,
    BackendRequestsTotal,
    BackendRequestsActive,
    BackendCrashesTotal,
    BackendInfo,
    BackendConnectionFailuresTotal,
    BackendResponseFailuresTotal,
    BackendUpSecondsTotal,
    BackendDownSecondsTotal,
    BackendStateChangesTotal,
    BackendLastRecoveryTimestamp,
    BackendLastHealthCheckTimestamp,
    BackendLatencyEwma,
    BackendConnectionsIdle,
    BackendConnectionReusesTotal,
    BackendQueueLength,
    BackendWeight,
    BackendEffectiveWeight,
    BackendHealthChecksTotal,
    BackendSentBytesTotal,
    BackendReceivedBytesTotal,
    BackendResponseDuration,
    BackendConnectDuration,
    BackendHealthCheckDuration,

    PoolBackends,
    PoolRequestsTotal,
    PoolRequestDuration,
    PoolRetriesTotal,
    PoolRetriesDeniedTotal,
    PoolNoBackendTotal,
    PoolFailOpen,
    PoolFailOpenRequestsTotal,
    PoolAllDownSinceTimestamp,
    PoolQueueLength,
    PoolQueueRejectionsTotal,
    PoolQueueDuration,
    UpgradedConnectionsActive,

    ListenerConnectionsActive,
    ListenerConnectionsTotal,
    ListenerConnectionsRejectedTotal,
    ListenerRequestsActive,
    RequestsRejectedTotal,
    LocalResponsesTotal,
    TlsHandshakesTotal,
    TlsHandshakesByVersionTotal,
    TlsCertificateNotAfterTimestamp,

    ConfigReloadsTotal,
    ConfigLastReloadSuccessful,
    ConfigLastReloadTimestamp,
    ConfigLastReloadSuccessTimestamp,
    ConfigGeneration,
    ConfigInfo,
    ConfigSnapshotsLive,
    ConfigRolloutActive,
    ConfigRolloutShare,
    ConfigRolloutsTotal,
    ConfigRolloutRequestsTotal,
    ConfigRolloutFailuresTotal,
    ConfigRolloutAnswerDuration,

    Ready,
    Draining,
    MemoryBudget,
    MemoryUsed,
    EventLoopLag,
    MetricsSeriesDroppedTotal,
    AccessLogLinesDroppedTotal,
    BuildInfo,
    ProcessCpuSecondsTotal,
    ProcessStartTime,
    ProcessResidentMemory,
    ProcessVirtualMemory,
    ProcessOpenFds,
    ProcessMaxFds,
};

enum class Type : std::uint8_t { Counter, Gauge, Histogram };

enum class Section : std::uint8_t { Backend, Pool, Listener, Config, Process };

struct Definition {
    Family family{};
    std::string_view name;
    Type type{Type::Gauge};
    Section section{Section::Process};
    std::array<std::string_view, 3> label_names;  ///< The first empty one ends them.
    /// All values of the last label, where they are known beforehand; else empty.
    std::span<const std::string_view> known_values;
    std::span<const std::chrono::nanoseconds> bounds;  ///< Of a histogram.
    std::string_view help;

    constexpr std::size_t label_count() const {
        std::size_t count = 0;
        while (count < label_names.size() && !label_names[count].empty()) {
            ++count;
        }
        return count;
    }
};

/// The table, indexed by Family.
std::span<const Definition> definitions();
const Definition& definition(Family family);
std::optional<Family> find_family(std::string_view name);

/// `counter`, `gauge`, `histogram`.
std::string_view to_string(Type type);

/// The tables of docs/metrics.md.
std::string reference_markdown();

}  // namespace rproxy::metrics
