// The flight recorder: what failed, was retried or slow, with its attempts.

#include "integration/setup.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <string>

namespace rproxy::test {
namespace {

using Json = nlohmann::json;

Json recorded(const RunningProxy& proxy, const std::string& query = {}) {
    return proxy.admin().json("/api/v1/requests" + (query.empty() ? "" : "?" + query))["requests"];
}

/// A request is recorded a moment after its client has the answer.
Json await_records(const RunningProxy& proxy, std::size_t count, const std::string& query = {}) {
    wait_until([&] { return recorded(proxy, query).size() >= count; });
    return recorded(proxy, query);
}

TEST(Requests, AreNotRecordedWhenNothingIsWrong) {
    FakeBackend web;
    web.on("/missing", respond(404));
    const auto proxy = ProxyUnderTest::with_yaml(to(web));
    auto client = proxy.connect();
    ASSERT_TRUE(client.exchange(get("/")));
    ASSERT_TRUE(client.exchange(get("/missing")));
    proxy.connect().exchange("GET / HTTP/1.1\r\n\r\n");  // without Host: refused
    ASSERT_TRUE(
        wait_until([&] { return proxy.metric("rproxy_pool_requests_total").value_or(0) == 2; }));
    EXPECT_TRUE(recorded(proxy).empty());
}

TEST(Requests, ThatFailedAreRecordedWithoutQueryAndHeaders) {
    FakeBackend web;
    web.otherwise(hang_up());
    const auto proxy = ProxyUnderTest::with_yaml(to(web) + kNoChecks);
    auto client = proxy.connect();
    const auto response = client.exchange(get("/a/b?token=secret",
                                              "X-Request-Id: req-7\r\nCookie: session=secret\r\n"
                                              "traceparent: 00-0af7651916cd43dd8448eb211c80319c-"
                                              "b7ad6b7169203331-01\r\n"));
    ASSERT_TRUE(response);
    EXPECT_EQ(response->status, 502);
    const Json records = await_records(proxy, 1);
    ASSERT_EQ(records.size(), 1U);
    const Json& record = records[0];
    EXPECT_EQ(record["why"], Json::array({"failed"}));
    EXPECT_EQ(record["request_id"], "req-7");
    EXPECT_EQ(record["trace_id"], "0af7651916cd43dd8448eb211c80319c");
    EXPECT_EQ(record["client"], "127.0.0.1");
    EXPECT_EQ(record["method"], "GET");
    EXPECT_EQ(record["host"], "test");
    EXPECT_EQ(record["path"], "/a/b");
    EXPECT_EQ(record["pool"], "default");
    EXPECT_EQ(record["generation"], 1);
    EXPECT_EQ(record["status"], 502);
    EXPECT_EQ(record["reason"], "backend_reset");
    EXPECT_EQ(record["attempts_total"], 1);
    ASSERT_EQ(record["attempts"].size(), 1U);
    EXPECT_EQ(record["attempts"][0]["backend"], web.address());
    EXPECT_EQ(record["attempts"][0]["result"], "reset");
    EXPECT_TRUE(record["attempts"][0]["status"].is_null());
    EXPECT_EQ(records.dump().find("secret"), std::string::npos);
}

TEST(Requests, ThatWereRetriedTellOfEveryAttempt) {
    FakeBackend bad;
    FakeBackend good;
    bad.otherwise(respond(503));
    const auto proxy = ProxyUnderTest::with_yaml(to(bad, good) + kNoChecks +
                                                 "outlier: {consecutive_failures: 0}\n");
    ASSERT_TRUE(wait_until([&] {
        proxy.get();
        return bad.request_count() >= 1;
    }));
    const Json records = await_records(proxy, 1, "reason=retried");
    ASSERT_FALSE(records.empty());
    const Json& record = records[0];
    EXPECT_EQ(record["status"], 200);
    EXPECT_EQ(record["why"], Json::array({"retried"}));
    ASSERT_EQ(record["attempts"].size(), 2U);
    EXPECT_EQ(record["attempts"][0]["backend"], bad.address());
    EXPECT_EQ(record["attempts"][0]["result"], "status_retried");
    EXPECT_EQ(record["attempts"][0]["status"], 503);
    EXPECT_EQ(record["attempts"][1]["backend"], good.address());
    EXPECT_EQ(record["attempts"][1]["result"], "answered");
    EXPECT_EQ(record["attempts"][1]["status"], 200);
}

TEST(Requests, TellWhichTimerFired) {
    FakeBackend web;
    web.otherwise(stall_before_head());
    const auto proxy =
        ProxyUnderTest::with_yaml("pools:\n  web: {backends: [\"" + web.address() +
                                  "\"], timeouts: {response: 50ms}, retry: {limit: 0}}\n");
    EXPECT_EQ(proxy.get().status, 504);
    const Json records = await_records(proxy, 1);
    ASSERT_EQ(records.size(), 1U);
    EXPECT_EQ(records[0]["timers"], Json::array({"response"}));
    EXPECT_EQ(records[0]["reason"], "backend_timeout");
    EXPECT_EQ(records[0]["attempts"][0]["result"], "response_timeout");
    EXPECT_GT(records[0]["duration_seconds"], 0.04);
    web.release();
}

TEST(Requests, AreFoundByPoolBackendReasonAndTime) {
    FakeBackend a;
    FakeBackend b;
    a.otherwise(respond(500));
    b.otherwise(hang_up());
    const auto proxy = ProxyUnderTest::with_yaml(
        "pools:\n  one: {backends: [\"" + a.address() + "\"]}\n  two: {backends: [\"" +
        b.address() + "\"]}\nroutes: [{path: /, pool: one}, {path: /two, pool: two}]\n");
    proxy.get("/");
    proxy.get("/two");
    ASSERT_EQ(await_records(proxy, 2).size(), 2U);
    EXPECT_EQ(recorded(proxy)[0]["pool"], "two") << "the newest first";
    EXPECT_EQ(recorded(proxy, "pool=one").size(), 1U);
    EXPECT_EQ(recorded(proxy, "backend=" + b.address()).size(), 1U);
    EXPECT_EQ(recorded(proxy, "reason=backend_reset")[0]["pool"], "two");
    EXPECT_EQ(recorded(proxy, "reason=failed").size(), 2U);
    EXPECT_EQ(recorded(proxy, "reason=slow").size(), 0U);
    EXPECT_EQ(recorded(proxy, "limit=1").size(), 1U);
    const auto newest = recorded(proxy)[0]["time"].get<double>();
    EXPECT_EQ(recorded(proxy, "since=" + std::to_string(newest + 1)).size(), 0U);
    EXPECT_EQ(recorded(proxy, "since=" + std::to_string(newest - 60)).size(), 2U);
}

TEST(Requests, RefuseAQueryThatMeansNothing) {
    FakeBackend web;
    const auto proxy = ProxyUnderTest::with_yaml(to(web));
    const auto error = [&](const std::string& query) {
        const auto response = proxy.admin().get("/api/v1/requests?" + query);
        EXPECT_EQ(response.status, 400) << query;
        return Json::parse(response.body)["error"].get<std::string>();
    };
    EXPECT_EQ(error("pol=x"), "unknown parameter 'pol', did you mean 'pool'?");
    EXPECT_EQ(error("limit=0"), "limit: '0' is not a number from 1 to 1000");
    EXPECT_EQ(error("limit=ten"), "limit: 'ten' is not a number from 1 to 1000");
    EXPECT_EQ(error("since=yesterday"), "since: 'yesterday' is not a Unix time in seconds");
    EXPECT_EQ(error("reason=odd"),
              "reason: 'odd' is none of X-Rproxy-Reason's codes, nor failed, retried or slow");
}

}  // namespace
}  // namespace rproxy::test
