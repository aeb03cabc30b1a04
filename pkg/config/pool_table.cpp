#include "config/special_types.h"
#include "config/table.h"
#include "config/text_rules.h"

#include <string>
#include <vector>

namespace rproxy::config {

namespace {

constexpr Duration kMonth = std::chrono::hours(24 * 30);
constexpr std::uint32_t kMostRequests = 1'000'000;

Type<balancing::Method> method() {
    using enum balancing::Method;
    std::vector<Word<balancing::Method>> table;
    for (const auto one :
         {RoundRobin, LeastConnections, Random, IpHash, PowerOfTwo, PeakEwma, ConsistentHash}) {
        table.push_back({std::string(balancing::to_string(one)), one});
    }
    return words<balancing::Method>(std::move(table));
}

Section<Selection> selection_section() {
    return {
        {key("by", &Selection::by,
             words<SelectionBy>({{"request", SelectionBy::Request},
                                 {"connection", SelectionBy::Connection},
                                 {"interval", SelectionBy::Interval}}),
             {.meaning = "A backend is chosen for each request, for each new client connection, "
                         "or for everybody at once until the `interval` is over."}),
         key("interval", &Selection::interval, duration(100ms, 24h),
             {.meaning = "How long one choice holds, for `by: interval`."})}};
}

Section<Sticky> sticky_section() {
    return {{key("cookie", &Sticky::cookie, text(http_token()),
                 {.meaning = "The cookie that remembers a client's backend; its value names no "
                             "address."}),
             key("ttl", &Sticky::ttl, duration(0ms, std::chrono::hours(24 * 365)),
                 {.meaning = "How long the client keeps the cookie; 0: until it is closed."})}};
}

Section<Pool> resolve_section() {
    return {{key("interval", &Pool::resolve_interval, duration(100ms, 1h),
                 {.meaning = "How often the names among the backends are looked up again."})}};
}

Section<BackendTls> tls_section() {
    const auto file = optional(text(file_path()));
    return {{key("server_name", &BackendTls::server_name, text_or_absent(host_name()),
                 {.meaning = "The name asked for (SNI) and verified; absent: the backend's host.",
                  .example = "web.internal"}),
             key("ca", &BackendTls::ca, file,
                 {.meaning = "PEM file of the authorities trusted; absent: the system's.",
                  .example = "/certs/ca.crt"}),
             key("cert", &BackendTls::cert, file,
                 {.meaning = "PEM file with the certificate shown to backends; needs `key`.",
                  .example = "/certs/client.crt"}),
             key("key", &BackendTls::key, file,
                 {.meaning = "PEM file with its private key; needs `cert`.",
                  .example = "/certs/client.key"}),
             key("verify", &BackendTls::verify, boolean(),
                 {.meaning = "Refuse backends whose certificate is not valid for the name."})}};
}

Section<HealthCheck> health_check_section() {
    return {
        {key("path", &HealthCheck::path, optional(text(url_path())),
             {.meaning = "Ask for this path; absent: a check is a TCP connection that opens.",
              .example = "/healthz"}),
         key("method", &HealthCheck::method, text(http_token()), {.meaning = "Of the request."}),
         key("host", &HealthCheck::host, optional(text(host_header())),
             {.meaning = "The `Host` of the request; absent: the backend's address.",
              .example = "web.internal"}),
         key("expect_status", &HealthCheck::expect_status, expect_status(),
             {.meaning = "What a healthy backend answers."}),
         key("port", &HealthCheck::port, optional(integer<std::uint16_t>(1, 65'535)),
             {.meaning = "Check this port instead of the backend's own.", .example = "8081"}),
         key("interval", &HealthCheck::interval, duration(10ms, 1h),
             {.meaning = "From the start of one check of a backend to the next."}),
         key("timeout", &HealthCheck::timeout, duration(1ms, 1h),
             {.meaning = "A check that takes longer has failed."}),
         key("rise", &HealthCheck::rise, integer<std::uint32_t>(1, 100),
             {.meaning = "Successes in a row that bring a backend up."}),
         key("fall", &HealthCheck::fall, integer<std::uint32_t>(1, 100),
             {.meaning = "Failures in a row that take it down."}),
         key("jitter", &HealthCheck::jitter, share(),
             {.meaning = "Each interval is longer or shorter by up to this share, so that "
                         "checks do not march in step."})}};
}

Section<Outlier> outlier_section() {
    return {{key("consecutive_failures", &Outlier::consecutive_failures,
                 integer<std::uint32_t>(0, 1000),
                 {.meaning = "Failed requests in a row that eject a backend; 0: never."}),
             key("ejection_time", &Outlier::ejection_time, duration(10ms, 24h),
                 {.meaning = "How long it gets no traffic."}),
             key("max_ejected", &Outlier::max_ejected, share(),
                 {.meaning = "No more than this share of the pool is ejected at a time."})}};
}

Section<Retry> retry_section() {
    return {
        {key("limit", &Retry::limit, integer<std::uint32_t>(0, 10),
             {.meaning = "Further attempts for one request; 0: none."}),
         key("budget", &Retry::budget, share(),
             {.meaning = "Retries are at most this share of the pool's requests, so that a "
                         "failing pool is not buried under them."}),
         key("per_try_timeout", &Retry::per_try_timeout, duration(0ms, 1h),
             {.meaning = "An attempt without a response after so long is given up for the next; "
                         "0: none."}),
         key("on", &Retry::on, retry_causes(),
             {.meaning =
                  "What is retried, if it is safe (nothing of the response was seen, and "
                  "the request is idempotent or was not sent). In Helm values quote the key: "
                  "YAML 1.1 reads a bare `on` as true."})}};
}

Section<PoolTimeouts> timeouts_section() {
    return {{key("connect", &PoolTimeouts::connect, duration(1ms, 1h),
                 {.meaning = "Until a connection to a backend is open."}),
             key("response", &PoolTimeouts::response, duration(1ms, kMonth),
                 {.meaning = "From the end of the request to the first byte of the response."}),
             key("idle", &PoolTimeouts::idle, duration(1ms, kMonth),
                 {.meaning = "How long an unused connection is kept, and how long a response body "
                             "may make no progress. Keep it below the backend's own keep-alive "
                             "time."})}};
}

Section<Queue> queue_section() {
    return {
        {key("limit", &Queue::limit, integer<std::uint32_t>(0, kMostRequests),
             {.meaning = "Requests that wait while every backend is at its `max_connections`; 0: "
                         "none, they are answered with 503."}),
         key("timeout", &Queue::timeout, duration(1ms, 1h), {.meaning = "How long one waits."})}};
}

Section<Pool> make_pool_section() {
    return {
        {key("method", &Pool::method, method(), {.meaning = "How a backend is chosen."}),
         key("hash_on", &Pool::hash_on, hash_on(),
             {.meaning = "What `consistent_hash` keeps together."}),
         key("selection", &Pool::selection, section_type(selection_section()),
             {.meaning = "When a backend is chosen."}),
         key("sticky", &Pool::sticky, optional(section_type(sticky_section())),
             {.meaning = "Keeps a client on its backend with a cookie; absent: off.",
              .example = "{cookie: rproxy_backend, ttl: 1h}"}),
         key("backends", &Pool::backends, backends(),
             {.meaning = "The servers. May be empty; may be one string of addresses with any "
                         "separators, a list of addresses, of maps, or of both.",
              .example = "[10.0.0.1:8080, {address: 10.0.0.2:8080, weight: 3}]",
              .required = true}),
         group("resolve", resolve_section(),
               {.meaning = "How backends given by name are kept current: a name stands for all "
                           "its addresses, each a backend."}),
         key("tls", &Pool::tls, optional(section_type(tls_section())),
             {.meaning = "Speak TLS with the backends; absent: plain HTTP.",
              .example = "{server_name: web.internal, ca: /certs/ca.crt}"}),
         key("health_check", &Pool::health_check, section_type(health_check_section()),
             {.meaning = "How backends are checked; they always are."}),
         key("outlier", &Pool::outlier, section_type(outlier_section()),
             {.meaning = "Takes a backend out whose real traffic fails."}),
         key("slow_start", &Pool::slow_start, duration(0ms, 24h),
             {.meaning = "A backend that comes up is given its full weight over so long; 0: at "
                         "once."}),
         key("retry", &Pool::retry, section_type(retry_section()),
             {.meaning = "When a failed attempt is repeated on another backend."}),
         key("timeouts", &Pool::timeouts, section_type(timeouts_section()),
             {.meaning = "The patience with backends."}),
         key("when_all_down", &Pool::when_all_down, when_all_down(),
             {.meaning = "While no backend is healthy: try them all the same, answer 503, or use "
                         "another pool."}),
         key("queue", &Pool::queue, section_type(queue_section()),
             {.meaning = "Waiting for a free backend."}),
         key("hide_backend_identity", &Pool::hide_backend_identity, boolean(),
             {.meaning = "Drop `Server` and `X-Powered-By` of responses and rewrite a `Location` "
                         "that names the backend."})}};
}

}  // namespace

const Section<Backend>& backend_section() {
    static const Section<Backend> kSection{
        {key("address", &Backend::address, address(AddressOf::Backend),
             {.meaning = "A name expands to all its addresses, each a backend, and is looked up "
                         "again and again.",
              .example = "10.0.0.2:8080",
              .required = true}),
         key("name", &Backend::name, text_or_absent(backend_name()),
             {.meaning = "Unique in the pool; the label in metrics and logs. Absent: the address.",
              .example = "big"}),
         key("weight", &Backend::weight, integer<std::uint32_t>(0, 1000),
             {.meaning = "Its share of the traffic, relative to the others; 0: no new requests.",
              .example = "3"}),
         key("max_connections", &Backend::max_connections, integer<std::uint32_t>(0, kMostRequests),
             {.meaning = "Requests in flight at a time; 0: no limit.", .example = "100"}),
         key("state", &Backend::state,
             words<AdminState>({{"up", AdminState::Up},
                                {"drain", AdminState::Drain},
                                {"disabled", AdminState::Disabled}}),
             {.meaning = "`drain`: finishes what it has and gets no new requests; `disabled`: gets "
                         "nothing.",
              .example = "drain"})}};
    return kSection;
}

const Section<Pool>& pool_section() {
    static const Section<Pool> kSection = make_pool_section();
    return kSection;
}

}  // namespace rproxy::config
