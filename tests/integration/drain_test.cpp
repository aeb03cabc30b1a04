#include "integration/setup.h"

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <string>

namespace rproxy::test {
namespace {

using namespace std::chrono_literals;

constexpr auto kLongGrace = "drain: {accept_grace: 60s, timeout: 60s}\n";

bool refuses(std::uint16_t port) {
    try {
        const RawClient client(port);
        return false;
    } catch (const std::exception&) {
        return true;
    }
}

TEST(Drain, ServesNewConnectionsDuringTheGraceAndSaysClose) {
    FakeBackend backend;
    ProxyProcess proxy(to(backend) + kLongGrace);
    const auto port = proxy.port();
    auto idle = proxy.connect();
    ASSERT_TRUE(idle.exchange(get("/")));
    proxy.signal(SIGTERM);
    ASSERT_TRUE(wait_until([&] { return proxy.admin().get("/readyz").status == 503; }));
    EXPECT_NE(proxy.admin().get("/readyz").body.find("draining"), std::string::npos);
    EXPECT_EQ(proxy.admin().get("/livez").status, 200);
    EXPECT_EQ(proxy.metric("rproxy_draining"), 1);
    RawClient fresh(port);
    const auto response = fresh.exchange(get("/"));
    ASSERT_TRUE(response);
    EXPECT_EQ(response->status, 200);
    EXPECT_EQ(response->header("Connection"), "close");
    EXPECT_TRUE(fresh.closed_by_peer());
    const auto last = idle.exchange(get("/"));
    ASSERT_TRUE(last) << "a request that crosses the signal on an idle connection is lost";
    EXPECT_EQ(last->header("Connection"), "close");
    EXPECT_EQ(proxy.wait_for_exit(0ms), std::nullopt);

    proxy.signal(SIGTERM);  // the second one ends it now
    EXPECT_EQ(proxy.wait_for_exit(), 0);
}

TEST(Drain, FinishesWhatIsInFlightAndExits) {
    FakeBackend backend;
    backend.on("/slow", stall_after_head(respond(200, {}, pattern(50'000))));
    ProxyProcess proxy(to(backend) + "drain: {accept_grace: 1ms, timeout: 60s}\n");
    const auto port = proxy.port();
    auto idle = proxy.connect();
    ASSERT_TRUE(idle.exchange(get("/")));
    auto client = proxy.connect();
    client.send(get("/slow"));
    ASSERT_TRUE(backend.wait_for_requests(2));
    proxy.signal(SIGTERM);
    ASSERT_TRUE(wait_until([&] { return refuses(port); }));
    EXPECT_TRUE(idle.closed_by_peer());
    EXPECT_EQ(proxy.wait_for_exit(0ms), std::nullopt);
    backend.release();
    const auto response = client.response();
    ASSERT_TRUE(response);
    EXPECT_TRUE(response->body == pattern(50'000));
    EXPECT_EQ(proxy.wait_for_exit(), 0);
    EXPECT_EQ(proxy.output(), "");
}

TEST(Drain, CutsWhatIsLeftAtTheTimeout) {
    FakeBackend backend;
    backend.otherwise(stall_before_head());
    ProxyProcess proxy(to(backend) + "drain: {accept_grace: 1ms, timeout: 200ms}\n");
    auto client = proxy.connect();
    client.send(get("/"));
    ASSERT_TRUE(backend.wait_for_requests(1));
    proxy.signal(SIGINT);
    EXPECT_EQ(proxy.wait_for_exit(), 0);
    EXPECT_FALSE(client.response());
}

TEST(Drain, WaitsForTunnels) {
    FakeBackend backend;
    backend.otherwise(upgrade("echo"));
    auto proxy =
        ProxyUnderTest::with_yaml(to(backend) + "drain: {accept_grace: 1ms, timeout: 60s}\n");
    const auto port = proxy.port();
    auto client = proxy.connect();
    client.send(get("/", "Connection: Upgrade\r\nUpgrade: echo\r\n"));
    ASSERT_TRUE(client.response());
    proxy.stop();
    ASSERT_TRUE(wait_until([&] { return refuses(port); }));
    client.send("still here");
    EXPECT_EQ(client.read_at_least(10), "still here");
    client.close();
    EXPECT_TRUE(proxy.wait_until_ended());
}

TEST(Drain, ByTheAdminPortStopsServingButNotTheProcess) {
    FakeBackend backend;
    const auto proxy =
        ProxyUnderTest::with_yaml(to(backend) + "drain: {accept_grace: 1ms, timeout: 10s}\n");
    const auto port = proxy.port();
    EXPECT_EQ(proxy.admin().post("/api/v1/drain").status, 202);
    EXPECT_TRUE(wait_until([&] { return refuses(port); }));
    EXPECT_EQ(proxy.admin().get("/readyz").status, 503);
    EXPECT_EQ(proxy.admin().get("/livez").status, 200);
}

}  // namespace
}  // namespace rproxy::test
