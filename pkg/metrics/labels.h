#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

/// The label values that are known before anything happens. Each enum indexes `CounterSet` cells;
/// its names are what the label reads. All of them are exported as 0 from the start, so that
/// `rate()` sees the first event too.
namespace rproxy::metrics {

/// Status class of an answer; `Error`: there was none.
enum class CodeClass : std::uint8_t {
    Informational,
    Success,
    Redirect,
    ClientError,
    ServerError,
    Error
};
inline constexpr auto kCodeClassNames =
    std::to_array<std::string_view>({"1xx", "2xx", "3xx", "4xx", "5xx", "error"});

/// 100 to 599 by its first digit, anything else `Error`.
constexpr CodeClass code_class(unsigned status) {
    return status >= 100 && status <= 599 ? static_cast<CodeClass>(status / 100 - 1)
                                          : CodeClass::Error;
}

enum class ConnectionFailure : std::uint8_t {
    Refused,
    Timeout,
    Reset,
    Tls,
    Dns,
    Unreachable,
    Limit
};
inline constexpr auto kConnectionFailureNames = std::to_array<std::string_view>(
    {"refused", "timeout", "reset", "tls", "dns", "unreachable", "limit"});

enum class ResponseFailure : std::uint8_t { Timeout, Reset, Truncated, Protocol, StaleConnection };
inline constexpr auto kResponseFailureNames = std::to_array<std::string_view>(
    {"timeout", "reset", "truncated", "protocol", "stale_connection"});

/// `SlowStart` is up with a weight that still grows; then `Up` is not set.
enum class BackendState : std::uint8_t {
    Unknown,
    Up,
    Down,
    Ejected,
    Draining,
    Disabled,
    SlowStart
};
inline constexpr auto kBackendStateNames = std::to_array<std::string_view>(
    {"unknown", "up", "down", "ejected", "draining", "disabled", "slow_start"});

/// The failure that took a backend out of rotation.
enum class CrashReason : std::uint8_t { Refused, Reset, Timeout, HttpStatus, HealthCheck, Dns };
inline constexpr auto kCrashReasonNames = std::to_array<std::string_view>(
    {"refused", "reset", "timeout", "http_status", "health_check", "dns"});

/// `Overrun`: our checker was late, so the outcome was not held against the backend.
enum class HealthCheckResult : std::uint8_t { Success, Failure, SkippedByTraffic, Overrun };
inline constexpr auto kHealthCheckResultNames =
    std::to_array<std::string_view>({"success", "failure", "skipped_by_traffic", "overrun"});

/// Why another attempt was made. `StaleConnection` is the one retry outside the budget.
enum class RetryReason : std::uint8_t {
    ConnectFailure,
    Reset,
    Timeout,
    Status502,
    Status503,
    Status504,
    StaleConnection
};
inline constexpr auto kRetryReasonNames = std::to_array<std::string_view>(
    {"connect_failure", "reset", "timeout", "502", "503", "504", "stale_connection"});

/// Why an attempt that failed was not followed by another.
enum class RetryDenial : std::uint8_t {
    Budget,
    Limit,
    NotIdempotent,
    BodyNotBuffered,
    ResponseStarted,
    NoBackend
};
inline constexpr auto kRetryDenialNames = std::to_array<std::string_view>(
    {"budget", "limit", "not_idempotent", "body_not_buffered", "response_started", "no_backend"});

enum class QueueRejection : std::uint8_t { Full, Timeout };
inline constexpr auto kQueueRejectionNames = std::to_array<std::string_view>({"full", "timeout"});

/// The method of a request; what is not in the list counts as `Other`, because a client chooses it.
enum class RequestMethod : std::uint8_t {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Connect,
    Options,
    Trace,
    Patch,
    Other
};
inline constexpr auto kRequestMethodNames = std::to_array<std::string_view>(
    {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "other"});

enum class ListenerRejection : std::uint8_t { Limit, Memory, ProxyProtocol, HandshakeLimit };
inline constexpr auto kListenerRejectionNames =
    std::to_array<std::string_view>({"limit", "memory", "proxy_protocol", "handshake_limit"});

/// Requests refused before a pool was chosen.
enum class RequestRejection : std::uint8_t {
    Malformed,
    Smuggling,
    TooLarge,
    HeaderLimit,
    Memory,
    Draining
};
inline constexpr auto kRequestRejectionNames = std::to_array<std::string_view>(
    {"malformed", "smuggling", "too_large", "header_limit", "memory", "draining"});

/// The codes of `X-Rproxy-Reason`: every answer that the proxy makes itself.
enum class LocalReason : std::uint8_t {
    BadRequest,
    NoRoute,
    ClientTimeout,
    BodyTooLarge,
    UriTooLong,
    HeadersTooLarge,
    BackendConnectFailed,
    BackendReset,
    BackendBadResponse,
    NoHealthyBackend,
    NoBackends,
    NoConfig,
    QueueFull,
    ConnectionLimit,
    Draining,
    BackendTimeout,
    HttpsRedirect
};
inline constexpr auto kLocalReasonNames = std::to_array<std::string_view>(
    {"bad_request", "no_route", "client_timeout", "body_too_large", "uri_too_long",
     "headers_too_large", "backend_connect_failed", "backend_reset", "backend_bad_response",
     "no_healthy_backend", "no_backends", "no_config", "queue_full", "connection_limit", "draining",
     "backend_timeout", "https_redirect"});

/// Refused: too many at a time.
enum class HandshakeResult : std::uint8_t { Success, Failure, Timeout, Refused };
inline constexpr auto kHandshakeResultNames =
    std::to_array<std::string_view>({"success", "failure", "timeout", "refused"});

/// Whether a handshake began anew, or a session of before went on.
enum class HandshakeKind : std::uint8_t { Full, Resumed };
inline constexpr auto kHandshakeKindNames = std::to_array<std::string_view>({"full", "resumed"});
inline constexpr auto kTlsVersionNames = std::to_array<std::string_view>({"1.2", "1.3"});

enum class ReloadResult : std::uint8_t { Applied, Unchanged, Rejected, RolledBack };
inline constexpr auto kReloadResultNames =
    std::to_array<std::string_view>({"applied", "unchanged", "rejected", "rolled_back"});

/// How a rollout ended: `Replaced` by a newer file, `Abandoned` because the file was put back.
enum class RolloutResult : std::uint8_t { Promoted, RolledBack, Replaced, Abandoned };
inline constexpr auto kRolloutResultNames =
    std::to_array<std::string_view>({"promoted", "rolled_back", "replaced", "abandoned"});

/// Which of the two configurations of a rollout a request ran on.
enum class RolloutSide : std::uint8_t { Stable, Candidate };
inline constexpr auto kRolloutSideNames = std::to_array<std::string_view>({"stable", "candidate"});

/// `Resident` is the whole process, `Buffers` the part of it that exchanges hold.
enum class MemoryKind : std::uint8_t { Resident, Buffers };
inline constexpr auto kMemoryKindNames = std::to_array<std::string_view>({"resident", "buffers"});

/// The names of an enum's values, in its order.
template <typename Label>
constexpr auto label_names();
template <>
constexpr auto label_names<CodeClass>() {
    return kCodeClassNames;
}
template <>
constexpr auto label_names<ConnectionFailure>() {
    return kConnectionFailureNames;
}
template <>
constexpr auto label_names<ResponseFailure>() {
    return kResponseFailureNames;
}
template <>
constexpr auto label_names<BackendState>() {
    return kBackendStateNames;
}
template <>
constexpr auto label_names<CrashReason>() {
    return kCrashReasonNames;
}
template <>
constexpr auto label_names<HealthCheckResult>() {
    return kHealthCheckResultNames;
}
template <>
constexpr auto label_names<RetryReason>() {
    return kRetryReasonNames;
}
template <>
constexpr auto label_names<RetryDenial>() {
    return kRetryDenialNames;
}
template <>
constexpr auto label_names<QueueRejection>() {
    return kQueueRejectionNames;
}
template <>
constexpr auto label_names<RequestMethod>() {
    return kRequestMethodNames;
}
template <>
constexpr auto label_names<ListenerRejection>() {
    return kListenerRejectionNames;
}
template <>
constexpr auto label_names<RequestRejection>() {
    return kRequestRejectionNames;
}
template <>
constexpr auto label_names<LocalReason>() {
    return kLocalReasonNames;
}
template <>
constexpr auto label_names<HandshakeResult>() {
    return kHandshakeResultNames;
}
template <>
constexpr auto label_names<HandshakeKind>() {
    return kHandshakeKindNames;
}
template <>
constexpr auto label_names<ReloadResult>() {
    return kReloadResultNames;
}
template <>
constexpr auto label_names<RolloutResult>() {
    return kRolloutResultNames;
}
template <>
constexpr auto label_names<RolloutSide>() {
    return kRolloutSideNames;
}
template <>
constexpr auto label_names<MemoryKind>() {
    return kMemoryKindNames;
}

template <typename Label>
constexpr std::size_t label_count() {
    return label_names<Label>().size();
}

template <typename Label>
constexpr std::string_view to_string(Label value) {
    return label_names<Label>()[static_cast<std::size_t>(value)];
}

}  // namespace rproxy::metrics
