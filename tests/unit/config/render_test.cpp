#include "config/render.h"

#include "base/rng.h"
#include "unit/config/files.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace rproxy::config::testing {
namespace {

/// Valid Snapshots at random: every key is sometimes at its default, sometimes at its limits.
class AnySnapshot {
public:
    explicit AnySnapshot(std::uint64_t seed) : rng_(seed) {}

    Snapshot make() {
        Snapshot snapshot;
        if (flip()) {
            snapshot.listeners = {listener("http", 8080)};
        }
        if (flip()) {
            snapshot.listeners.push_back(listener("second.one", 0));
        }
        const std::uint32_t pools = 1 + below(3);
        for (std::uint32_t i = 0; i < pools; ++i) {
            snapshot.pools.push_back(pool(i));
            snapshot.routes.push_back(Route{.host = flip() ? "" : "a" + std::to_string(i) + ".b",
                                            .path = "/p" + std::to_string(i),
                                            .pool = snapshot.pools.back().name});
        }
        globals(snapshot);
        return snapshot;
    }

private:
    bool flip() { return rng_.below(2) == 0; }
    std::uint32_t below(std::uint32_t bound) { return rng_.below(bound); }
    Duration time() { return pick<Duration>({100ms, 1500ms, 90s, 1h}); }
    Share share() { return pick<Share>({percent(0.5), percent(12.5), percent(100), percent(33)}); }
    template <typename T>
    T pick(const std::vector<T>& values) {
        return values[below(static_cast<std::uint32_t>(values.size()))];
    }
    /// Replaces a value half of the time.
    template <typename T>
    void maybe(T& value, const T& other) {
        if (flip()) {
            value = other;
        }
    }
    /// Texts that YAML could take for something else.
    std::string word() {
        return pick<std::string>({"a", "on", "1", "1e3", "0x1f", "null", "true", "No", "a-b.c",
                                  "2024-01-01", "12.30", "007"});
    }
    std::string file() {
        return pick<std::string>({"/certs/tls.crt", "a b", "c:\\d", "x: y", "#z", "q\"u'o", "é",
                                  "~", "[", "{a}", "&a", "*b", "!c", "%d", "- e", " lead",
                                  "trail "});
    }

    Listener listener(const std::string& name, std::uint16_t port) {
        Listener listener{.name = name, .address = Endpoint{"127.0.0.1", port, {}}};
        maybe(listener.address, Endpoint{"", 0, "/run/" + name + ".sock"});
        maybe(listener.backlog, std::uint32_t{1});
        maybe(listener.proxy_protocol, true);
        if (flip()) {
            listener.tls = ListenerTls{.certificates = {{.cert = file(), .key = file()}}};
            ListenerTls& tls = *listener.tls;
            maybe(tls.certificates[0].ocsp, std::optional(file()));
            maybe(tls.min_version, TlsVersion::Tls13);
            maybe(tls.ciphers, std::vector<std::string>{"TLS_AES_128_GCM_SHA256"});
            if (flip()) {
                tls.client_ca = file();
                maybe(tls.client_auth, std::optional(ClientAuth::Optional));
            }
            maybe(tls.client_subject_header, std::string("X-Who"));
            maybe(tls.hsts, std::optional(Hsts{.max_age = time(), .include_subdomains = flip()}));
            maybe(tls.handshake, Handshake{.timeout = time(), .limit = below(9)});
        } else {
            maybe(listener.https_redirect, std::optional(HttpsRedirect{.port = 1, .status = 301}));
        }
        return listener;
    }

    Backend backend(std::uint32_t index) {
        Backend backend;
        backend.address = pick<Endpoint>({{"10.0.0." + std::to_string(index), 80, {}},
                                          {"::" + std::to_string(index + 1), 65535, {}},
                                          {"b" + std::to_string(index) + ".local", 1, {}},
                                          {"", 0, "/s" + std::to_string(index)}});
        backend.name = flip() ? backend.address.to_string() : word() + "#" + std::to_string(index);
        maybe(backend.weight, below(1001));
        maybe(backend.max_connections, below(1000));
        backend.state = pick<AdminState>({AdminState::Up, AdminState::Drain, AdminState::Disabled});
        return backend;
    }

    HashOn hash_on() {
        using enum HashOn::Source;
        return pick<HashOn>({{ClientIp, ""}, {Path, ""}, {Header, "x-user"}, {Cookie, "S'id"}});
    }

    void checks(Pool& pool) {
        HealthCheck& check = pool.health_check;
        maybe(check.path, std::optional<std::string>("/health?full=1"));
        maybe(check.method, std::string("HEAD"));
        maybe(check.host, std::optional<std::string>("a.b:80"));
        maybe(check.expect_status, pick<std::vector<StatusRange>>(
                                       {{{204, 204}}, {{200, 299}}, {{200, 200}, {300, 399}}}));
        maybe(check.port, std::optional<std::uint16_t>(8081));
        maybe(check.interval, time());
        maybe(check.timeout, time());
        maybe(check.rise, std::uint32_t{7});
        maybe(check.fall, std::uint32_t{1});
        maybe(check.jitter, share());
        maybe(pool.outlier.consecutive_failures, std::uint32_t{0});
        maybe(pool.outlier.ejection_time, time());
        maybe(pool.outlier.max_ejected, share());
    }

    Pool pool(std::uint32_t index) {
        Pool pool{.name = word() + "." + std::to_string(index)};
        pool.method = static_cast<balancing::Method>(below(7));
        pool.hash_on = hash_on();
        maybe(pool.selection, Selection{.by = SelectionBy::Interval, .interval = time()});
        if (flip()) {
            pool.sticky = Sticky{.ttl = time()};
        }
        const std::uint32_t backends = below(4);
        for (std::uint32_t i = 0; i < backends; ++i) {
            pool.backends.push_back(backend(i));
        }
        maybe(pool.resolve_interval, time());
        if (flip()) {
            pool.tls = BackendTls{.verify = flip()};
            const bool nameless = std::ranges::any_of(
                pool.backends, [](const Backend& each) { return each.address.is_unix(); });
            if (nameless || flip()) {
                pool.tls->server_name = "web.internal";
            }
            maybe(pool.tls->ca, std::optional(file()));
            if (flip()) {
                pool.tls->cert = file();
                pool.tls->key = file();
            }
        }
        checks(pool);
        maybe(pool.slow_start, time());
        maybe(pool.retry, Retry{.limit = below(11),
                                .budget = share(),
                                .per_try_timeout = time(),
                                .on = static_cast<std::uint8_t>(below(64))});
        maybe(pool.timeouts, PoolTimeouts{.connect = time(), .response = time(), .idle = time()});
        maybe(pool.when_all_down, WhenAllDown{WhenAllDown::Action::Fail, {}});
        maybe(pool.queue, Queue{.limit = 5, .timeout = time()});
        maybe(pool.hide_backend_identity, false);
        return pool;
    }

    void globals(Snapshot& snapshot) {
        if (snapshot.pools.size() > 1 && flip()) {
            snapshot.pools[0].when_all_down = {WhenAllDown::Action::UsePool,
                                               snapshot.pools[1].name};
            snapshot.pools[1].when_all_down = {};
        }
        maybe(snapshot.timeouts.client_header, time());
        maybe(snapshot.timeouts.tunnel_idle, time());
        maybe(snapshot.limits, Limits{.header_bytes = ByteSize{1234},
                                      .header_count = 1,
                                      .request_line = kib(1),
                                      .connections = 9,
                                      .body_bytes = mib(3)});
        maybe(snapshot.buffer_size, ByteSize{5000});
        maybe(snapshot.trusted_proxies, {*Cidr::parse("10.0.0.0/8"), *Cidr::parse("fd00::1")});
        maybe(snapshot.drain, Drain{.accept_grace = 0ms, .timeout = time()});
        maybe(snapshot.admin_address, std::optional(Endpoint{"::1", 0, {}}));
        maybe(snapshot.log, Log{.level = LogLevel::Warn,
                                .format = LogFormat::Text,
                                .access = flip(),
                                .access_sample = share(),
                                .access_only_failures = flip()});
        maybe(snapshot.metrics, Metrics{.backend_histograms_up_to = 0, .max_series = 1});
        if (flip()) {
            snapshot.rollout = Rollout{.canary = share(), .duration = time()};
            maybe(snapshot.rollout->max_error_ratio, 1.25);
        }
    }

    XoshiroRng rng_;
};

TEST(Render, IsReadBackAsTheSameSnapshot) {
    for (std::uint64_t seed = 0; seed < 500; ++seed) {
        const Snapshot snapshot = AnySnapshot(seed).make();
        for (const auto detail : {Detail::Changed, Detail::Full}) {
            const std::string text = render(snapshot, detail);
            const auto loaded = load(text);
            ASSERT_TRUE(loaded) << "seed " << seed << "\n"
                                << issues_text(loaded.error(), "f") << text;
            ASSERT_EQ(*loaded, snapshot) << "seed " << seed << "\n" << text;
        }
    }
}

TEST(Render, WritesOnlyWhatDiffersFromTheDefaults) {
    EXPECT_EQ(
        render(must_load("backends: [10.0.0.1:80, {address: a.b:80, name: a.b:80, weight: 1}]\n"
                         "method: random\nretry: {limit: 1, budget: 20%}\nsticky: {}\n")),
        "version: 1\n"
        "pools:\n"
        "  default:\n"
        "    method: random\n"
        "    sticky: {}\n"
        "    backends: [10.0.0.1:80, a.b:80]\n"
        "    retry: {limit: 1}\n"
        "routes:\n"
        "  - {pool: default}\n");
}

TEST(Render, QuotesWhatYamlToolsWouldMistake) {
    const std::string text = render(
        must_load("pools: {\"no\": {backends: [], retry: {on: [reset]}}}\n"), Detail::Changed);
    EXPECT_NE(text.find("\n  \"no\":"), std::string::npos) << text;
    // YAML 1.1 tools (kubectl, Helm) read a bare `on` as true.
    EXPECT_NE(text.find("{\"on\": [reset]}"), std::string::npos) << text;
}

}  // namespace
}  // namespace rproxy::config::testing
