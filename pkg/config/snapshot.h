#pragma once

#include "balancing/method.h"
#include "base/byte_size.h"
#include "base/duration.h"
#include "base/endpoint.h"
#include "base/ip_address.h"
#include "base/share.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

/// The configuration as values: what a valid file means, with every default filled in. Immutable
/// once loaded; shared between threads as `shared_ptr<const Snapshot>`. Field names are the file's
/// keys; the reference of each is docs/configuration.md.
namespace rproxy::config {

using namespace std::chrono_literals;

// The empty initialisers let code name only the members it sets: GCC warns of the others
// otherwise (-Wmissing-field-initializers).
// NOLINTBEGIN(readability-redundant-member-init)

struct Certificate {
    std::string cert{};                 ///< PEM file: the leaf first, then its chain.
    std::string key{};                  ///< PEM file.
    std::optional<std::string> ocsp{};  ///< DER file: the response sent along (stapled).
    friend bool operator==(const Certificate&, const Certificate&) = default;
};

enum class TlsVersion : std::uint8_t { Tls12, Tls13 };
enum class ClientAuth : std::uint8_t { Required, Optional };

struct Hsts {
    Duration max_age{std::chrono::hours(24 * 365)};
    bool include_subdomains{false};
    bool preload{false};
    friend bool operator==(const Hsts&, const Hsts&) = default;
};

struct Handshake {
    Duration timeout{10s};
    std::uint32_t limit{1024};  ///< At a time on one listener, over all workers; 0: no limit.
    friend bool operator==(const Handshake&, const Handshake&) = default;
};

struct ListenerTls {
    std::vector<Certificate> certificates{};
    TlsVersion min_version{TlsVersion::Tls12};
    TlsVersion max_version{TlsVersion::Tls13};
    std::vector<std::string> ciphers{};  ///< Empty: those of Mozilla's intermediate configuration.
    std::optional<std::string> client_ca{};
    std::optional<ClientAuth> client_auth{};  ///< Only with client_ca; absent: required.
    std::string client_subject_header{"X-Client-Subject"};
    std::optional<Hsts> hsts{};
    Handshake handshake{};
    friend bool operator==(const ListenerTls&, const ListenerTls&) = default;
};

/// Every request of a plain listener is sent to the same address with https.
struct HttpsRedirect {
    std::uint16_t port{443};
    std::uint16_t status{308};
    friend bool operator==(const HttpsRedirect&, const HttpsRedirect&) = default;
};

struct Listener {
    std::string name{"http"};
    Endpoint address{"0.0.0.0", 8080, {}};
    std::uint32_t backlog{1024};
    bool proxy_protocol{false};
    std::optional<ListenerTls> tls{};
    std::optional<HttpsRedirect> https_redirect{};
    friend bool operator==(const Listener&, const Listener&) = default;
};

/// What the operator wants of a backend; what health makes of it is backends::State.
enum class AdminState : std::uint8_t { Up, Drain, Disabled };

struct Backend {
    Endpoint address{};
    std::string
        name{};  ///< As configured, else the address; unique in its pool. The metrics' label.
    std::uint32_t weight{1};           ///< 0 to 1000; 0 takes no new requests.
    std::uint32_t max_connections{0};  ///< Requests in flight over all workers; 0: no limit.
    AdminState state{AdminState::Up};
    friend bool operator==(const Backend&, const Backend&) = default;
};

enum class SelectionBy : std::uint8_t { Request, Connection, Interval };

struct Selection {
    SelectionBy by{SelectionBy::Request};
    Duration interval{30s};
    friend bool operator==(const Selection&, const Selection&) = default;
};

struct HashOn {
    enum class Source : std::uint8_t { ClientIp, Header, Cookie, Path };
    Source source{Source::ClientIp};
    std::string name{};  ///< Of the header (lower case) or cookie.
    friend bool operator==(const HashOn&, const HashOn&) = default;
};

struct Sticky {
    std::string cookie{"rproxy_backend"};
    Duration ttl{1h};
    friend bool operator==(const Sticky&, const Sticky&) = default;
};

struct BackendTls {
    std::string server_name{};  ///< For SNI and verification; empty: the backend's host.
    std::optional<std::string> ca{};
    std::optional<std::string> cert{};
    std::optional<std::string> key{};
    bool verify{true};
    friend bool operator==(const BackendTls&, const BackendTls&) = default;
};

/// Inclusive; `200-399` is one range, `200,204` are two.
struct StatusRange {
    std::uint16_t first{200};
    std::uint16_t last{399};
    friend bool operator==(const StatusRange&, const StatusRange&) = default;
};

struct HealthCheck {
    std::optional<std::string> path{};  ///< Absent: the check is a TCP connect.
    std::string method{"GET"};
    std::optional<std::string> host{};  ///< Absent: the backend's host:port.
    std::vector<StatusRange> expect_status{StatusRange{}};
    std::optional<std::uint16_t> port{};
    Duration interval{5s};
    Duration timeout{2s};
    std::uint32_t rise{2};
    std::uint32_t fall{3};
    Share jitter{percent(20)};
    friend bool operator==(const HealthCheck&, const HealthCheck&) = default;
};

struct Outlier {
    std::uint32_t consecutive_failures{5};  ///< 0: off.
    Duration ejection_time{10s};
    Share max_ejected{percent(50)};
    friend bool operator==(const Outlier&, const Outlier&) = default;
};

/// What may cause a retry. Bits of Retry::on.
enum class RetryOn : std::uint8_t {
    ConnectFailure = 1,
    Reset = 2,
    Timeout = 4,
    Status502 = 8,
    Status503 = 16,
    Status504 = 32,
};

struct Retry {
    std::uint32_t limit{2};
    Share budget{percent(20)};
    Duration per_try_timeout{0};  ///< 0: none.
    std::uint8_t on{0x3f};        ///< Bits of RetryOn.
    bool retries(RetryOn cause) const { return (on & static_cast<std::uint8_t>(cause)) != 0; }
    friend bool operator==(const Retry&, const Retry&) = default;
};

struct PoolTimeouts {
    Duration connect{1s};
    Duration response{30s};  ///< Until the first byte of the response head.
    Duration idle{60s};      ///< Of a pooled connection, and of a response body without progress.
    friend bool operator==(const PoolTimeouts&, const PoolTimeouts&) = default;
};

struct WhenAllDown {
    enum class Action : std::uint8_t { TryAnyway, Fail, UsePool };
    Action action{Action::TryAnyway};
    std::string pool{};  ///< For UsePool.
    friend bool operator==(const WhenAllDown&, const WhenAllDown&) = default;
};

struct Queue {
    std::uint32_t limit{0};
    Duration timeout{1s};
    friend bool operator==(const Queue&, const Queue&) = default;
};

struct Pool {
    std::string name{};
    balancing::Method method{balancing::Method::RoundRobin};
    HashOn hash_on{};
    Selection selection{};
    std::optional<Sticky> sticky{};
    std::vector<Backend> backends{};
    Duration resolve_interval{5s};
    std::optional<BackendTls> tls{};
    HealthCheck health_check{};
    Outlier outlier{};
    Duration slow_start{0};
    Retry retry{};
    PoolTimeouts timeouts{};
    WhenAllDown when_all_down{};
    Queue queue{};
    bool hide_backend_identity{true};
    friend bool operator==(const Pool&, const Pool&) = default;
};

struct Route {
    std::string host{};  ///< Lower case, no port; empty: any.
    std::string path{"/"};
    std::string pool{};
    friend bool operator==(const Route&, const Route&) = default;
};

struct ClientTimeouts {
    Duration client_header{10s};
    Duration client_idle{60s};
    Duration client_body{30s};  ///< Without progress.
    Duration tunnel_idle{1h};
    friend bool operator==(const ClientTimeouts&, const ClientTimeouts&) = default;
};

struct Limits {
    ByteSize header_bytes{kib(64)};
    std::uint32_t header_count{128};
    ByteSize request_line{kib(16)};
    std::uint32_t connections{
        0};                  ///< Client connections per listener, over all workers; 0: no limit.
    ByteSize body_bytes{0};  ///< Of a request; 0: no limit.
    friend bool operator==(const Limits&, const Limits&) = default;
};

/// Lent by each worker to bodies that come faster than buffer_size takes them.
struct LargeBuffers {
    ByteSize size{kib(128)};
    std::uint32_t count{32};  ///< Lent at once by one worker; 0: none.
    friend bool operator==(const LargeBuffers&, const LargeBuffers&) = default;
};

struct Drain {
    Duration accept_grace{5s};
    Duration timeout{30s};
    friend bool operator==(const Drain&, const Drain&) = default;
};

enum class LogLevel : std::uint8_t { Debug, Info, Warn, Error };
enum class LogFormat : std::uint8_t { Json, Text };

struct Log {
    LogLevel level{LogLevel::Info};
    LogFormat format{LogFormat::Json};
    bool access{true};
    Share access_sample{percent(100)};
    bool access_only_failures{false};
    friend bool operator==(const Log&, const Log&) = default;
};

struct Metrics {
    std::uint32_t backend_histograms_up_to{64};
    std::uint32_t max_series{100000};
    friend bool operator==(const Metrics&, const Metrics&) = default;
};

struct Rollout {
    Share canary{percent(10)};
    Duration duration{30s};  ///< The key `for`.
    double max_error_ratio{2};
    friend bool operator==(const Rollout&, const Rollout&) = default;
};

struct Snapshot {
    std::vector<Listener> listeners{Listener{}};
    std::vector<Pool> pools{};
    std::vector<Route> routes{};  ///< Never empty in a valid snapshot with a pool: see load().
    ClientTimeouts timeouts{};
    Limits limits{};
    ByteSize buffer_size{kib(16)};
    LargeBuffers large_buffers{};
    std::vector<Cidr> trusted_proxies{};
    Drain drain{};
    std::optional<Endpoint> admin_address{};  ///< Absent: the flag's, else 0.0.0.0:9090.
    Log log{};
    Metrics metrics{};
    std::optional<Rollout> rollout{};
    friend bool operator==(const Snapshot&, const Snapshot&) = default;
};

// NOLINTEND(readability-redundant-member-init)

}  // namespace rproxy::config
