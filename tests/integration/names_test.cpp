// Backends given by name.

#include "integration/setup.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <string>

namespace rproxy::test {
namespace {

/// RFC 6761 §6.4: nobody will ever resolve it.
const std::string kNowhere = "nowhere.invalid:8080";
const std::string kOften = "resolve: {interval: 1s}\n";

nlohmann::json only_row(const RunningProxy& proxy) {
    return proxy.admin().json("/api/v1/backends").at("pools").at(0).at("backends").at(0);
}

TEST(Names, WithoutAnAddressAreShownWithTheReason) {
    const auto proxy = ProxyUnderTest::with_yaml("backends: [\"" + kNowhere + "\"]\n" + kOften);
    const auto row = only_row(proxy);
    EXPECT_EQ(row.at("name"), kNowhere);
    EXPECT_EQ(row.at("state"), "down");
    EXPECT_EQ(row.at("eligible"), false);
    EXPECT_EQ(row.at("last_health_check").at("ok"), false);
    EXPECT_NE(row.at("last_health_check").at("detail").get<std::string>().find("cannot resolve"),
              std::string::npos);
    const Labels backend{{"backend", kNowhere}};
    EXPECT_EQ(proxy.metric("rproxy_backend_up", backend), 0);
    EXPECT_EQ(proxy.metric("rproxy_backend_state", {{"backend", kNowhere}, {"state", "down"}}), 1);
    EXPECT_EQ(proxy.metric("rproxy_pool_backends", {{"state", "down"}}), 1);
    EXPECT_TRUE(wait_until([&] {
        return proxy
                   .metric("rproxy_backend_connection_failures_total",
                           {{"backend", kNowhere}, {"reason", "dns"}})
                   .value_or(0) >= 2;
    })) << "it is tried again, and each failure counts";
    int told = 0;
    const auto timeline = proxy.admin().json("/api/v1/events");
    for (const auto& event : timeline.at("events")) {
        told += event.value("reason", "") == "dns" ? 1 : 0;
    }
    EXPECT_EQ(told, 1) << "once, not each time";
    EXPECT_EQ(proxy.get().reason(), "no_healthy_backend");
}

TEST(Names, WithoutAnAddressLeaveTheRequestsToThePoolInReserve) {
    FakeBackend reserve;
    const auto proxy = ProxyUnderTest::with_yaml(
        "pools:\n  web: {backends: [\"" + kNowhere + "\"], when_all_down: {pool: reserve}}\n" +
        "  reserve: {backends: [\"" + reserve.address() + "\"]}\nroutes: [{path: /, pool: web}]\n");
    EXPECT_EQ(proxy.get().status, 200);
    EXPECT_EQ(reserve.request_count(), 1U);
}

TEST(Names, TakeTheirRowsAlongWhenTheFileChanges) {
    FakeBackend backend;
    auto proxy = ProxyUnderTest::with_yaml("backends: [\"" + kNowhere + "\"]\n" + kOften);
    EXPECT_EQ(only_row(proxy).at("state"), "down");
    const std::string local = "localhost:" + std::to_string(backend.port());
    proxy.reload("backends: [\"" + local + "\"]\n" + kOften);
    ASSERT_TRUE(proxy.wait_for_state(backend.address(), "up"));
    EXPECT_EQ(proxy.get().status, 200);
}

}  // namespace
}  // namespace rproxy::test
