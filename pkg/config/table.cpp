#include "config/table.h"

#include "config/special_types.h"
#include "config/text_rules.h"

#include <string>
#include <utility>
#include <vector>

namespace rproxy::config {

namespace {

constexpr Duration kMonth = std::chrono::hours(24 * 30);

Type<TlsVersion> tls_version() {
    return words<TlsVersion>({{"1.2", TlsVersion::Tls12}, {"1.3", TlsVersion::Tls13}});
}

Type<std::uint16_t> redirect_status() {
    return words<std::uint16_t>({{"301", 301}, {"302", 302}, {"307", 307}, {"308", 308}});
}

Section<Certificate> certificate_section() {
    return {{key("cert", &Certificate::cert, text(file_path()),
                 {.meaning = "PEM file with the certificate, then its chain.",
                  .example = "/certs/tls.crt",
                  .required = true}),
             key("key", &Certificate::key, text(file_path()),
                 {.meaning = "PEM file with its private key.",
                  .example = "/certs/tls.key",
                  .required = true}),
             key("ocsp", &Certificate::ocsp, optional(text(file_path())),
                 {.meaning = "DER file with the authority's word that the certificate is not "
                             "revoked (OCSP), sent along with it; absent: none is.",
                  .example = "/certs/tls.ocsp"})}};
}

Section<Hsts> hsts_section() {
    return {{key("max_age", &Hsts::max_age, duration(0ms, std::chrono::hours(24 * 365 * 10)),
                 {.meaning = "How long browsers remember to use https only; 0: they forget it."}),
             key("include_subdomains", &Hsts::include_subdomains, boolean(),
                 {.meaning = "The same for all names below."}),
             key("preload", &Hsts::preload, boolean(),
                 {.meaning = "Agree to being built into browsers; needs `include_subdomains` and a "
                             "`max_age` of a year."})}};
}

Section<Handshake> handshake_section() {
    return {{key("timeout", &Handshake::timeout, duration(10ms, 1h),
                 {.meaning = "A client that has not finished its handshake by then is closed."}),
             key("limit", &Handshake::limit, integer<std::uint32_t>(0, 10'000'000),
                 {.meaning = "Handshakes in progress at a time; a client beyond that is closed at "
                             "once, so that those who wait do not all time out. 0: no limit."})}};
}

Section<HttpsRedirect> https_redirect_section() {
    return {{key("port", &HttpsRedirect::port, integer<std::uint16_t>(1, 65'535),
                 {.meaning = "Where clients reach TLS: the port of the Service, not of the "
                             "container."}),
             key("status", &HttpsRedirect::status, redirect_status(),
                 {.meaning = "`308` and `307` keep the method and body, `301` and `308` may be "
                             "remembered."})}};
}

Section<ListenerTls> listener_tls_section() {
    return {
        {key("certificates", &ListenerTls::certificates,
             list(section_type(certificate_section()), Empty::Refused),
             {.meaning = "Chosen by the name that the client asks for (SNI), the first one when "
                         "none fits. Read again when the files change.",
              .example = "[{cert: /certs/tls.crt, key: /certs/tls.key}]",
              .required = true}),
         key("min_version", &ListenerTls::min_version, tls_version(),
             {.meaning = "The oldest TLS version accepted."}),
         key("max_version", &ListenerTls::max_version, tls_version(),
             {.meaning = "The newest TLS version offered."}),
         key("ciphers", &ListenerTls::ciphers, list(text(cipher_name())),
             {.meaning = "The cipher suites offered, by OpenSSL's names; those of TLS 1.3 begin "
                         "with `TLS_`. For a version of which none is named, and without the key, "
                         "the ones of Mozilla's intermediate configuration.",
              .example = "[ECDHE-ECDSA-AES128-GCM-SHA256, ECDHE-RSA-AES128-GCM-SHA256]"}),
         key("client_ca", &ListenerTls::client_ca, optional(text(file_path())),
             {.meaning = "PEM file of the authorities whose client certificates are asked for "
                         "and verified; absent: none are asked for.",
              .example = "/certs/ca.crt"}),
         key("client_auth", &ListenerTls::client_auth,
             optional(words<ClientAuth>(
                 {{"required", ClientAuth::Required}, {"optional", ClientAuth::Optional}})),
             {.meaning = "With `client_ca`: whether a client without a certificate is refused; "
                         "absent: it is. One with a wrong certificate always is.",
              .example = "optional"}),
         key("client_subject_header", &ListenerTls::client_subject_header, text(http_token()),
             {.meaning = "With `client_ca`: the request field in which backends are told the "
                         "subject of the client's certificate (RFC 2253). What clients send in it "
                         "is dropped, on every listener."}),
         key("hsts", &ListenerTls::hsts, optional(section_type(hsts_section())),
             {.meaning = "Tell browsers to come with https only (`Strict-Transport-Security`); "
                         "absent: nothing is told.",
              .example = "{max_age: 8760h, include_subdomains: true}"}),
         key("handshake", &ListenerTls::handshake, section_type(handshake_section()),
             {.meaning = "The patience with clients before their first request."})}};
}

Section<Route> route_section() {
    return {{key("host", &Route::host, route_host(),
                 {.meaning = "The exact host of the request, without a port; absent: any host.",
                  .example = "example.com"}),
             key("path", &Route::path, text(url_prefix()),
                 {.meaning = "The request's path begins with this; the longest match wins.",
                  .example = "/api"}),
             key("pool", &Route::pool, text(object_name()),
                 {.meaning = "Where such requests go.", .example = "web", .required = true})}};
}

Section<ClientTimeouts> client_timeouts_section() {
    const auto time = duration(1ms, kMonth);
    return {{key("client_header", &ClientTimeouts::client_header, time,
                 {.meaning = "From the first byte of a request to the end of its head."}),
             key("client_idle", &ClientTimeouts::client_idle, time,
                 {.meaning = "How long a kept-alive client connection may wait for its next "
                             "request."}),
             key("client_body", &ClientTimeouts::client_body, time,
                 {.meaning = "How long a body may make no progress, in either direction."}),
             key("tunnel_idle", &ClientTimeouts::tunnel_idle, time,
                 {.meaning = "How long an upgraded connection (WebSocket) may be silent in both "
                             "directions."})}};
}

Section<Limits> limits_section() {
    return {{key("header_bytes", &Limits::header_bytes, size(kib(1), mib(16)),
                 {.meaning = "All header fields of a message together."}),
             key("header_count", &Limits::header_count, integer<std::uint32_t>(1, 10'000),
                 {.meaning = "Header fields of a message."}),
             key("request_line", &Limits::request_line, size(ByteSize{256}, mib(1)),
                 {.meaning = "The first line of a request: method, target and version."}),
             key("connections", &Limits::connections, integer<std::uint32_t>(0, 10'000'000),
                 {.meaning = "Client connections of one listener at a time; 0: no limit."}),
             key("body_bytes", &Limits::body_bytes, size(ByteSize{0}, mib(1U << 30U)),
                 {.meaning = "The body of a request; 0: no limit. Bodies are streamed, so a large "
                             "one takes no memory."})}};
}

Section<LargeBuffers> large_buffers_section() {
    return {{key("size", &LargeBuffers::size, size(kib(4), mib(16)),
                 {.meaning = "Of each; of use if larger than `buffer_size`."}),
             key("count", &LargeBuffers::count, integer<std::uint32_t>(0, 65536),
                 {.meaning = "How many a worker lends at once, to whichever bodies fill "
                             "`buffer_size`; the others go on without. 0 lends none."})}};
}

Section<Drain> drain_section() {
    return {
        {key("accept_grace", &Drain::accept_grace, duration(0ms, 1h),
             {.meaning = "After SIGTERM new connections are still served for so long, while the "
                         "load balancers in front learn of the end."}),
         key("timeout", &Drain::timeout, duration(0ms, 24h),
             {.meaning = "After that, requests and tunnels in flight may take so long."})}};
}

Section<Snapshot> admin_section() {
    return {{key("address", &Snapshot::admin_address, optional(address(AddressOf::Listener)),
                 {.meaning = "Where metrics, probes, the API and the console are served; the flag "
                             "`--admin` wins; without both `0.0.0.0:9090`. Read at start only.",
                  .example = "0.0.0.0:9090"})}};
}

Section<Log> log_section() {
    return {{key("level", &Log::level,
                 words<LogLevel>({{"debug", LogLevel::Debug},
                                  {"info", LogLevel::Info},
                                  {"warn", LogLevel::Warn},
                                  {"error", LogLevel::Error}}),
                 {.meaning = "The least important messages that are logged."}),
             key("format", &Log::format,
                 words<LogFormat>({{"json", LogFormat::Json}, {"text", LogFormat::Text}}),
                 {.meaning = "One JSON object or one line of text for each message."}),
             key("access", &Log::access, boolean(), {.meaning = "Log every request."}),
             key("access_sample", &Log::access_sample, share(),
                 {.meaning = "The share of requests that are logged."}),
             key("access_only_failures", &Log::access_only_failures, boolean(),
                 {.meaning = "Log only requests that failed."})}};
}

Section<Metrics> metrics_section() {
    return {
        {key("backend_histograms_up_to", &Metrics::backend_histograms_up_to,
             integer<std::uint32_t>(0, 100'000),
             {.meaning = "Latency histograms for each backend, while there are at most so many; "
                         "with more, for each pool only."}),
         key("max_series", &Metrics::max_series, integer<std::uint32_t>(1, 100'000'000),
             {.meaning = "Series in one scrape; what is beyond is dropped and counted."})}};
}

Section<Rollout> rollout_section() {
    return {{key("canary", &Rollout::canary, share(percent(0.1)),
                 {.meaning = "The share of new requests that this configuration gets first."}),
             key("for", &Rollout::duration, duration(100ms, 24h),
                 {.meaning = "How long it is compared with the one before until it gets all."}),
             key("max_error_ratio", &Rollout::max_error_ratio, number(1, 1000),
                 {.meaning = "It is rolled back when its share of failed requests is more than so "
                             "many times that of the one before, or of 1 %; also when it is twice "
                             "as slow."})}};
}

/// Pools in the file are a map; in the Snapshot they carry their names.
Type<std::vector<Pool>> pools() {
    const auto read = [](Reader& reader, const Node& node, std::vector<Pool>& value) {
        if (!reader.expect_map(node)) {
            return;
        }
        if (node.entries.empty()) {
            reader.fail(node.at, "no pool", "give at least one, with its backends");
        }
        for (const auto& entry : node.entries) {
            const Reader::Scope scope(reader, entry.key);
            if (entry.key.empty() || !object_name().valid(entry.key)) {
                reader.fail(entry.at, quoted(entry.key) + " is not " + object_name().name);
            }
            value.emplace_back().name = entry.key;
            if (entry.value.is_null()) {
                reader.fail(entry.at, "the pool has no keys", "give at least backends: []");
            } else {
                read_section(reader, entry.value, value.back(), pool_section());
            }
        }
    };
    const auto write = [](const std::vector<Pool>& value) {
        Node node = Node::map();
        for (const auto& pool : value) {
            node.set(pool.name, write_section(pool, pool_section()));
        }
        return node.entries.empty() ? Node::null() : node;
    };
    return {.shape = {.kind = Shape::Kind::Named,
                      .pattern = object_name().pattern,
                      .not_empty = true,
                      .parts = {pool_section().shape()}},
            .read = read,
            .write = write};
}

/// There is one version; the key lets a later one change the meaning of others.
Key<Snapshot> version_key() {
    Key<Snapshot> row;
    row.shape = integer_shape(1, 1);
    row.shape.range = "1";
    row.shape.key = {
        .name = "version", .meaning = "Of the file's format.", .default_value = Node::literal("1")};
    row.read = [](Reader& reader, const Node& node, Snapshot& into) {
        static_cast<void>(into);
        if (!node.is_scalar() || node.text != "1") {
            reader.fail(node.at, "found " + describe(node), "the only version there is: 1");
        }
    };
    row.write = [](const Snapshot& from) {
        static_cast<void>(from);
        return Node::literal("1");
    };
    return row;
}

Section<Snapshot> make_snapshot_section() {
    return {
        {version_key(),
         key("listeners", &Snapshot::listeners,
             list(section_type(listener_section()), Empty::Refused),
             {.meaning = "Where clients connect."}),
         key("pools", &Snapshot::pools, pools(),
             {.meaning = "Named sets of backends with everything that concerns them. In the short "
                         "form the keys of one pool stand at the top of the file instead."}),
         key("routes", &Snapshot::routes, list(section_type(route_section())),
             {.meaning = "Which requests go to which pool: first by exact host, then by the "
                         "longest path. May be absent when there is one pool, which then gets "
                         "everything. A request that no route wants is answered with 404.",
              .example = "[{host: example.com, path: /api, pool: web}]"}),
         key("timeouts", &Snapshot::timeouts, section_type(client_timeouts_section()),
             {.meaning = "The patience with clients; that with backends is each pool's."}),
         key("limits", &Snapshot::limits, section_type(limits_section()),
             {.meaning = "What a client may send."}),
         key("buffer_size", &Snapshot::buffer_size, size(kib(4), mib(16)),
             {.meaning = "Memory for each direction of an exchange in progress."}),
         key("large_buffers", &Snapshot::large_buffers, section_type(large_buffers_section()),
             {.meaning = "Lent to long bodies while they come faster than `buffer_size` takes "
                         "them: at most `size` times `count` more memory per worker."}),
         key("trusted_proxies", &Snapshot::trusted_proxies, list(network()),
             {.meaning = "Networks of the proxies in front, whose `X-Forwarded-*` fields and PROXY "
                         "headers are believed.",
              .example = "[10.0.0.0/8]"}),
         key("drain", &Snapshot::drain, section_type(drain_section()),
             {.meaning = "The way out after SIGTERM."}),
         group("admin", admin_section(), {.meaning = "The admin port."}),
         key("log", &Snapshot::log, section_type(log_section()),
             {.meaning = "What is logged, and how."}),
         key("metrics", &Snapshot::metrics, section_type(metrics_section()),
             {.meaning = "Bounds for what Prometheus has to store."}),
         key("rollout", &Snapshot::rollout, optional(section_type(rollout_section())),
             {.meaning = "Tries a change on a part of the requests first; absent: a change applies "
                         "at once.",
              .example = "{canary: 10%, for: 30s, max_error_ratio: 2}"})}};
}

}  // namespace

const Section<Listener>& listener_section() {
    static const Section<Listener> kSection{
        {key("name", &Listener::name, text(object_name()),
             {.meaning = "Unique; the label in metrics and logs."}),
         key("address", &Listener::address, address(AddressOf::Listener),
             {.meaning = "Where to listen. Port 0 takes any free port."}),
         key("backlog", &Listener::backlog, integer<std::uint32_t>(1, 65'535),
             {.meaning = "Connections that the kernel keeps until they are accepted; it may lower "
                         "the number (`net.core.somaxconn`)."}),
         key("proxy_protocol", &Listener::proxy_protocol, boolean(),
             {.meaning =
                  "Expect a PROXY protocol header (version 1 or 2) from `trusted_proxies`."}),
         key("tls", &Listener::tls, optional(section_type(listener_tls_section())),
             {.meaning = "Speak TLS with clients; absent: plain HTTP.",
              .example = "{certificates: [{cert: /certs/tls.crt, key: /certs/tls.key}]}"}),
         key("https_redirect", &Listener::https_redirect,
             optional(section_type(https_redirect_section())),
             {.meaning = "Answer every request of this plain listener with a redirect to https; "
                         "absent: it is served.",
              .example = "{port: 443}",
              .instead_of = "tls"})}};
    return kSection;
}

const Section<Snapshot>& snapshot_section() {
    static const Section<Snapshot> kSection = make_snapshot_section();
    return kSection;
}

const Shape& snapshot_shape() {
    static const Shape kShape = snapshot_section().shape();
    return kShape;
}

bool allowed_in_short_form(std::string_view key) {
    return key != "timeouts" && key != "tls" && pool_section().find(key) != nullptr;
}

}  // namespace rproxy::config
