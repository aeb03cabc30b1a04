#include "base/strings.h"
#include "integration/setup.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <set>
#include <string>
#include <string_view>

namespace rproxy::test {
namespace {

using Names = std::set<std::string>;

/// The first word in backquotes of each table row of docs/metrics.md that names a metric.
Names documented() {
    Names names;
    const auto text = read_file(RPROXY_SOURCE_DIR "/docs/metrics.md");
    for (const std::string_view line : split_any(text, "\n")) {
        if (line.starts_with("| `rproxy_") || line.starts_with("| `process_")) {
            const auto name = line.substr(3);
            names.emplace(name.substr(0, name.find_first_of("{`")));
        }
    }
    return names;
}

/// Of the families that a scrape has.
Names exposed(const std::string& metrics) {
    Names names;
    for (const std::string_view line : split_any(metrics, "\n")) {
        constexpr std::string_view kType = "# TYPE ";
        if (line.starts_with(kType)) {
            const auto name = line.substr(kType.size());
            names.emplace(name.substr(0, name.find(' ')));
        }
    }
    return names;
}

/// What this test does not bring about, or this host may not have.
const Names kNeedMore{"rproxy_memory_budget_bytes", "rproxy_tls_handshakes_total",
                      "rproxy_tls_handshakes_by_version_total",
                      "rproxy_tls_certificate_not_after_timestamp_seconds"};

TEST(Metrics, UnderTrafficAreWhatTheDocumentationSaysAndPromtoolAccepts) {
    FakeBackend web;
    FakeBackend crashing;
    web.on("/missing", respond(404));
    const auto proxy = ProxyUnderTest::with_yaml(
        "pools:\n  web: {backends: [\"" + web.address() + "\"]}\n  lost: {backends: [\"" +
        crashing.address() + "\"], health_check: {interval: 100ms}}\n" +
        "routes: [{path: /, pool: web}, {path: /lost, pool: lost}]\n");
    auto client = proxy.connect();
    for (const std::string path : {"/", "/", "/missing", "/missing"}) {
        ASSERT_TRUE(client.exchange(get(path)));
    }
    crashing.stop();
    ASSERT_TRUE(proxy.wait_for_state(crashing.address(), "down"));
    crashing.start_again();
    ASSERT_TRUE(proxy.wait_for_state(crashing.address(), "up"));
    crashing.stop();
    ASSERT_TRUE(proxy.wait_for_state(crashing.address(), "down"));

    const std::string metrics = proxy.admin().get("/metrics").body;
    const Names shown = exposed(metrics);
    const Names known = documented();
    ASSERT_GT(known.size(), 50U);
    for (const auto& name : shown) {
        EXPECT_TRUE(known.contains(name)) << name << " is not documented";
    }
    for (const auto& name : known) {
        EXPECT_TRUE(shown.contains(name) || kNeedMore.contains(name)) << name << " is not there";
    }
    const TempDir dir;
    const std::string command = "promtool check metrics < " + dir.write("metrics", metrics) +
                                " > " + (dir / "verdict") + " 2>&1";
    EXPECT_EQ(std::system(command.c_str()), 0)  // NOLINT(cert-env33-c,concurrency-mt-unsafe)
        << read_file(dir / "verdict");
}

TEST(Metrics, TimestampsAreAbsentUntilTheEvent) {
    FakeBackend web;
    const auto proxy = ProxyUnderTest::with_yaml(to(web));
    EXPECT_TRUE(proxy.metric("rproxy_backend_up_since_timestamp_seconds"));
    EXPECT_TRUE(proxy.metric("rproxy_config_last_reload_success_timestamp_seconds"));
    for (const std::string event : {"rproxy_backend_last_request_timestamp_seconds",
                                    "rproxy_backend_last_crash_timestamp_seconds",
                                    "rproxy_backend_last_recovery_timestamp_seconds",
                                    "rproxy_pool_all_down_since_timestamp_seconds"}) {
        EXPECT_FALSE(proxy.metric(event)) << event;
    }
    proxy.get();
    EXPECT_GT(proxy.metric("rproxy_backend_last_request_timestamp_seconds").value_or(0), 1.7e9);
}

TEST(Metrics, OfARemovedBackendGoAfterOneMoreScrape) {
    FakeBackend stays;
    FakeBackend goes;
    auto proxy = ProxyUnderTest::with_yaml(to(stays, goes));
    const Labels gone{{"backend", goes.address()}};
    ASSERT_TRUE(proxy.metric("rproxy_backend_requests_total", gone));
    // Not reload(), which scrapes while it waits.
    proxy.write(to(stays));
    ASSERT_TRUE(wait_until([&] { return proxy.backend_state(goes.address()).empty(); }));
    EXPECT_TRUE(proxy.metric("rproxy_backend_requests_total", gone))
        << "the last counts are lost for who scrapes";
    EXPECT_FALSE(proxy.metric("rproxy_backend_requests_total", gone));
    EXPECT_TRUE(proxy.metric("rproxy_backend_requests_total", {{"backend", stays.address()}}));
}

TEST(Metrics, CountRequestsByClassAndMethod) {
    FakeBackend web;
    web.on("/missing", respond(404));
    const auto proxy = ProxyUnderTest::with_yaml(to(web));
    auto client = proxy.connect();
    ASSERT_TRUE(client.exchange(get("/")));
    ASSERT_TRUE(client.exchange(post("/", "body")));
    ASSERT_TRUE(client.exchange(get("/missing")));
    // The client has its answer a moment before the request is counted.
    ASSERT_TRUE(wait_until([&] {
        return proxy.metric("rproxy_pool_requests_total", {{"code", "404"}}).value_or(0) == 1;
    }));
    EXPECT_EQ(proxy.metric("rproxy_backend_requests_total", {{"code", "2xx"}}), 2);
    EXPECT_EQ(proxy.metric("rproxy_backend_requests_total", {{"code", "4xx"}}), 1);
    EXPECT_EQ(proxy.metric("rproxy_pool_requests_total", {{"code", "200"}, {"method", "POST"}}), 1);
    EXPECT_EQ(proxy.metric("rproxy_pool_requests_total", {{"code", "404"}}), 1);
    EXPECT_EQ(proxy.metric("rproxy_backend_requests_active"), 0);
    EXPECT_EQ(proxy.metric("rproxy_backend_connections_active"), 1);
    EXPECT_EQ(proxy.metric("rproxy_backend_connections_idle"), 1);
}

}  // namespace
}  // namespace rproxy::test
