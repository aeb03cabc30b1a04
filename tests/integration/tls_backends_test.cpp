#include "integration/tls_setup.h"
#include "support/tls_front.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace rproxy::test {
namespace {

const TestAuthority& authority() {
    static const TestAuthority kAuthority;
    return kAuthority;
}

struct Stage {
    FakeBackend plain;
    TempDir dir;
    std::string ca{dir.write("ca.crt", authority().cert())};
};

/// One pool that speaks TLS with `backend`; `tls`: its keys.
std::string pool(const std::string& backend, const std::string& tls, const std::string& more = {}) {
    return "pools:\n  web:\n    backends: [\"" + backend + "\"]\n    tls: {" + tls + "}\n    " +
           (more.empty() ? "health_check: {interval: 1h, fall: 100}" : more) + "\n";
}

TEST(TlsBackends, AreVerifiedByAddressOrByTheNameGiven) {
    Stage stage;
    const TlsFront by_address(stage.plain.port(), authority().issue({.names = {"127.0.0.1"}}));
    const auto proxy = ProxyUnderTest::with_yaml(pool(by_address.address(), "ca: " + stage.ca));
    EXPECT_EQ(proxy.get().status, 200);
    EXPECT_EQ(by_address.seen().front().server_name, "") << "an address is no server name";

    const TlsFront by_name(stage.plain.port(), authority().issue({.names = {"web.internal"}}));
    const auto named = ProxyUnderTest::with_yaml(
        pool(by_name.address(), "server_name: web.internal, ca: " + stage.ca));
    EXPECT_EQ(named.get().status, 200);
    EXPECT_EQ(by_name.seen().front().server_name, "web.internal");
}

struct Wrong {
    std::string what;
    CertificateRequest request;
    std::string tls;
};

TEST(TlsBackends, ThatAreNotWhoTheyShouldBeGetNothing) {
    Stage stage;
    const std::string other = stage.dir.write("other.crt", TestAuthority("Other").cert());
    const std::vector<Wrong> cases{
        {"name", {.names = {"evil.internal"}}, "server_name: web.internal, ca: " + stage.ca},
        {"address", {.names = {"10.9.8.7"}}, "ca: " + stage.ca},
        {"authority", {.names = {"127.0.0.1"}}, "ca: " + other},
        {"no such authority on this system", {.names = {"127.0.0.1"}}, ""},
        {"expired",
         {.names = {"127.0.0.1"},
          .begins = std::chrono::hours{-48},
          .ends = std::chrono::hours{-1}},
         "ca: " + stage.ca}};
    for (const auto& each : cases) {
        const TlsFront front(stage.plain.port(), authority().issue(each.request));
        const auto proxy = ProxyUnderTest::with_yaml(pool(front.address(), each.tls));
        const auto response = proxy.get();
        EXPECT_EQ(response.status, 503) << each.what;
        EXPECT_EQ(response.reason(), "no_healthy_backend") << each.what;
        EXPECT_GE(proxy
                      .metric("rproxy_backend_connection_failures_total",
                              {{"reason", "tls"}, {"pool", "web"}})
                      .value_or(0),
                  1)
            << each.what;
    }
    EXPECT_EQ(stage.plain.request_count(), 0U);
}

TEST(TlsBackends, AreTrustedBlindlyOnlyWhereToldSo) {
    Stage stage;
    const TlsFront front(stage.plain.port(), TestAuthority("Any").issue({.names = {"x"}}));
    const auto proxy = ProxyUnderTest::with_yaml(pool(front.address(), "verify: false"));
    EXPECT_EQ(proxy.get().status, 200);
}

TEST(TlsBackends, ThatSpeakPlainAreRefused) {
    Stage stage;
    const auto proxy = ProxyUnderTest::with_yaml(pool(stage.plain.address(), "verify: false"));
    EXPECT_EQ(proxy.get().reason(), "no_healthy_backend");
    for (const auto& request : stage.plain.requests()) {
        EXPECT_FALSE(request.complete) << request.raw;
    }
}

TEST(TlsBackends, LearnWhoAsks) {
    Stage stage;
    const TlsFront front(stage.plain.port(), authority().issue({.names = {"127.0.0.1"}}),
                         {.client_ca = authority().cert()});
    const auto me = authority().issue({.names = {}, .common_name = "rproxy"});
    const auto proxy = ProxyUnderTest::with_yaml(
        pool(front.address(), "ca: " + stage.ca + ", cert: " + stage.dir.write("me.crt", me.cert) +
                                  ", key: " + stage.dir.write("me.key", me.key)));
    EXPECT_EQ(proxy.get().status, 200);
    EXPECT_EQ(front.seen().front().subject, "CN=rproxy");
}

TEST(TlsBackends, KeepConnectionsAndSessions) {
    for (const bool tls12 : {false, true}) {
        Stage stage;
        const TlsFront front(stage.plain.port(), authority().issue({.names = {"127.0.0.1"}}),
                             {.tls12 = tls12});
        const auto proxy = ProxyUnderTest::with_yaml(
            pool(front.address(), "ca: " + stage.ca,
                 "health_check: {interval: 1h, fall: 100}\n    timeouts: {idle: 30ms}"),
            {.workers = 1});
        const auto handshakes = [&] { return front.seen().size(); };
        ASSERT_EQ(proxy.get().status, 200);
        const std::size_t after_first = handshakes();
        RawClient client(proxy.port());
        ASSERT_TRUE(client.exchange(get("/")));
        ASSERT_TRUE(client.exchange(get("/")));
        const std::size_t reused = handshakes() - after_first;
        EXPECT_LE(reused, 1U) << "a connection for each request";
        for (int i = 0; i < 3; ++i) {
            ASSERT_TRUE(wait_until([&] {
                return proxy.metric("rproxy_backend_connections_active", {{"pool", "web"}}) == 0;
            }));
            ASSERT_EQ(proxy.get().status, 200);
        }
        const auto seen = front.seen();
        EXPECT_GE(std::ranges::count(seen, true, &TlsFront::Seen::resumed), 3) << tls12;
    }
}

TEST(TlsBackends, TakeLargeBodiesBothWays) {
    Stage stage;
    const std::string body = pattern(1'500'000);
    stage.plain.on("/down", respond(200, {}, body));
    const TlsFront front(stage.plain.port(), authority().issue({.names = {"127.0.0.1"}}));
    const auto proxy = ProxyUnderTest::with_yaml(pool(front.address(), "ca: " + stage.ca));
    EXPECT_EQ(proxy.get("/down").body, body);
    RawClient client(proxy.port());
    const auto response = client.exchange(post("/up", body));
    ASSERT_TRUE(response);
    EXPECT_EQ(response->status, 200);
    EXPECT_EQ(stage.plain.requests().back().body, body);
}

TEST(TlsBackends, AreCheckedOverTls) {
    Stage stage;
    stage.plain.on("/healthz", respond(204));
    const TlsFront good(stage.plain.port(), authority().issue({.names = {"web.internal"}}));
    const TlsFront bad(stage.plain.port(), authority().issue({.names = {"other.internal"}}));
    const std::string checks = "health_check: {path: /healthz, interval: 50ms, rise: 1, fall: 1}";
    const auto proxy =
        ProxyUnderTest::with_yaml(pool(good.address() + "\", \"" + bad.address(),
                                       "server_name: web.internal, ca: " + stage.ca, checks));
    EXPECT_TRUE(proxy.wait_for_state(good.address(), "up"));
    EXPECT_TRUE(proxy.wait_for_state(bad.address(), "down"));
    for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(proxy.get().status, 200);
    }
    EXPECT_TRUE(bad.seen().empty()) << "the request must not be sent before it is known to whom";
}

TEST(TlsBackends, AreNotReusedUnderOtherTerms) {
    Stage stage;
    const TlsFront front(stage.plain.port(), authority().issue({.names = {"127.0.0.1"}}));
    auto proxy =
        ProxyUnderTest::with_yaml(pool(front.address(), "ca: " + stage.ca), {.workers = 1});
    ASSERT_EQ(proxy.get().status, 200);
    const auto other = stage.dir.write("other.crt", TestAuthority("Other").cert());
    proxy.reload(RunningProxy::complete(pool(front.address(), "ca: " + other)));
    EXPECT_NE(proxy.get().status, 200) << "a connection of before was used";
    proxy.reload(RunningProxy::complete(pool(front.address(), "ca: " + stage.ca)));
    EXPECT_EQ(proxy.get().status, 200);
}

TEST(TlsBackends, GetTheNewClientCertificateWithoutLosingConnections) {
    Stage stage;
    const TlsFront front(stage.plain.port(), authority().issue({.names = {"127.0.0.1"}}),
                         {.client_ca = authority().cert()});
    const auto write = [&](const std::string& name) {
        const auto pair = authority().issue({.names = {}, .common_name = name});
        stage.dir.write("me.key", pair.key);
        stage.dir.write("me.crt", pair.cert);
    };
    write("old");
    const auto proxy = ProxyUnderTest::with_yaml(
        pool(front.address(), "ca: " + stage.ca + ", cert: " + (stage.dir / "me.crt") +
                                  ", key: " + (stage.dir / "me.key")),
        {.workers = 1});
    RawClient client(proxy.port());
    ASSERT_TRUE(client.exchange(get("/")));
    write("new");
    ASSERT_TRUE(wait_until(
        [&] { return proxy.metric("rproxy_config_reloads_total", {{"result", "applied"}}) >= 2; }));
    const auto before = front.seen().size();
    ASSERT_TRUE(client.exchange(get("/")));
    EXPECT_EQ(front.seen().size(), before) << "the open connection is as good as it was";
    stage.plain.on("/slow", stall_before_head());
    client.send(get("/slow"));  // takes the open connection
    ASSERT_TRUE(stage.plain.wait_for_requests(3));
    EXPECT_EQ(proxy.get().status, 200);
    EXPECT_EQ(front.seen().back().subject, "CN=new");
    stage.plain.release();
}

}  // namespace
}  // namespace rproxy::test
