#include "integration/setup.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

namespace rproxy::test {
namespace {

double now_seconds() {
    return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch())
        .count();
}

nlohmann::json backend_json(const RunningProxy& proxy, const std::string& address) {
    const auto all = proxy.admin().json("/api/v1/backends");
    for (const auto& pool : all.at("pools")) {
        for (const auto& backend : pool.at("backends")) {
            if (backend.at("address") == address) {
                return backend;
            }
        }
    }
    return nullptr;
}

/// Asks without a pause, over one connection after another, until it goes.
class Load {
public:
    explicit Load(const RunningProxy& proxy) : port_(proxy.port()) {
        thread_ = std::thread([this] { run(); });
    }
    ~Load() {
        stop_ = true;
        thread_.join();
    }
    Load(const Load&) = delete;
    Load& operator=(const Load&) = delete;
    Load(Load&&) = delete;
    Load& operator=(Load&&) = delete;
    int answered() const { return answered_; }
    int failed() const { return failed_; }

private:
    void run() {
        while (!stop_) {
            RawClient client(port_);
            for (int i = 0; i < 20 && !stop_; ++i) {
                const auto response = client.exchange(get("/"));
                const bool good = response && response->status == 200;
                ++(good ? answered_ : failed_);
                if (!good) {
                    break;
                }
            }
        }
    }

    std::uint16_t port_;
    std::atomic<bool> stop_{false};
    std::atomic<int> answered_{0};
    std::atomic<int> failed_{0};
    std::thread thread_;
};

TEST(Health, ACrashUnderLoadFailsNoRequestAndIsRememberedAndEnds) {
    FakeBackend steady;
    FakeBackend crashing;
    const auto proxy = ProxyUnderTest::with_yaml(to(steady, crashing) + kQuickChecks);
    const Labels backend{{"backend", crashing.address()}};
    ASSERT_TRUE(proxy.wait_for_state(crashing.address(), "up"));
    EXPECT_FALSE(proxy.metric("rproxy_backend_last_crash_timestamp_seconds", backend));
    EXPECT_FALSE(proxy.metric("rproxy_backend_last_recovery_timestamp_seconds", backend));
    const double before = now_seconds();
    const Load load(proxy);
    ASSERT_TRUE(wait_until([&] { return crashing.request_count() > 20; }));

    crashing.stop();
    ASSERT_TRUE(proxy.wait_for_state(crashing.address(), "down"));
    const auto down = backend_json(proxy, crashing.address());
    EXPECT_TRUE(down.at("up_since").is_null());
    EXPECT_EQ(down.at("uptime_seconds"), 0.0);
    EXPECT_EQ(down.at("crashes"), 1);
    EXPECT_GE(down.at("last_crash").get<double>(), before - 1);
    EXPECT_LE(down.at("last_crash").get<double>(), now_seconds() + 1);
    const std::string reason = down.at("last_crash_reason");
    EXPECT_TRUE(reason == "refused" || reason == "reset") << reason;
    EXPECT_EQ(proxy.metric("rproxy_backend_crashes_total", backend), 1);
    EXPECT_EQ(proxy.metric("rproxy_backend_up", backend), 0);
    EXPECT_NEAR(proxy.metric("rproxy_backend_last_crash_timestamp_seconds", backend).value_or(0),
                down.at("last_crash").get<double>(), 0.01);
    EXPECT_FALSE(proxy.metric("rproxy_backend_up_since_timestamp_seconds", backend));
    const int while_down = load.answered();
    ASSERT_TRUE(wait_until([&] { return load.answered() > while_down + 20; }));

    const auto requests = crashing.request_count();
    crashing.start_again();
    ASSERT_TRUE(proxy.wait_for_state(crashing.address(), "up"));
    EXPECT_TRUE(wait_until([&] { return crashing.request_count() > requests + 5; }));
    EXPECT_TRUE(proxy.metric("rproxy_backend_last_recovery_timestamp_seconds", backend));
    EXPECT_TRUE(proxy.metric("rproxy_backend_up_since_timestamp_seconds", backend));
    EXPECT_GT(proxy.metric("rproxy_backend_last_crash_timestamp_seconds", backend).value_or(0), 0)
        << "the last crash stays visible after the recovery";
    EXPECT_EQ(load.failed(), 0) << "of " << load.answered();
}

TEST(Health, HttpChecksGoByTheStatus) {
    FakeBackend good;
    FakeBackend moody;
    good.on("/healthz", respond(204));
    moody.on("/healthz", respond(204));
    const auto proxy = ProxyUnderTest::with_yaml(
        to(good, moody) +
        "health_check: {path: /healthz, host: web.internal, expect_status: \"204\", interval: "
        "50ms}\n");
    ASSERT_TRUE(proxy.wait_for_state(moody.address(), "up"));
    EXPECT_EQ(moody.requests().at(0).header("Host"), "web.internal");
    moody.on("/healthz", respond(200));
    ASSERT_TRUE(proxy.wait_for_state(moody.address(), "down"));
    EXPECT_EQ(backend_json(proxy, moody.address()).at("last_crash_reason"), "http_status");
    EXPECT_EQ(proxy.backend_state(good.address()), "up");
    EXPECT_EQ(proxy.metric("rproxy_backend_last_request_timestamp_seconds"), std::nullopt)
        << "probes are no client requests";
    moody.on("/healthz", respond(204));
    EXPECT_TRUE(proxy.wait_for_state(moody.address(), "up"));
}

TEST(Health, AllDownAnswersSoAndRecoversByItself) {
    FakeBackend only;
    const auto proxy = ProxyUnderTest::with_yaml(to(only) + kQuickChecks);
    ASSERT_EQ(proxy.get().status, 200);
    EXPECT_FALSE(proxy.metric("rproxy_pool_all_down_since_timestamp_seconds"));
    only.stop();
    ASSERT_TRUE(proxy.wait_for_state(only.address(), "down"));
    const auto response = proxy.get();
    EXPECT_EQ(response.status, 503);
    EXPECT_EQ(response.reason(), "no_healthy_backend");
    EXPECT_EQ(response.raw.find(only.address()), std::string::npos);
    EXPECT_TRUE(proxy.metric("rproxy_pool_all_down_since_timestamp_seconds"));
    EXPECT_TRUE(proxy.admin().ready()) << "backend health is not this process's readiness";
    only.start_again();
    EXPECT_TRUE(wait_until([&] { return proxy.get().status == 200; }));
    ASSERT_TRUE(proxy.wait_for_state(only.address(), "up"));
    EXPECT_TRUE(
        wait_until([&] { return !proxy.metric("rproxy_pool_all_down_since_timestamp_seconds"); }));
}

TEST(Health, WhenAllDownFailTriesNobody) {
    FakeBackend only;
    const auto proxy = ProxyUnderTest::with_yaml(to(only) + "when_all_down: fail\n" + kQuickChecks);
    only.stop();
    ASSERT_TRUE(proxy.wait_for_state(only.address(), "down"));
    EXPECT_EQ(proxy.get().reason(), "no_healthy_backend");
    EXPECT_EQ(proxy.metric("rproxy_pool_fail_open_requests_total"), 0);
    EXPECT_EQ(proxy.metric("rproxy_pool_no_backend_total"), 1);
}

TEST(Health, APoolInReserveTakesOver) {
    FakeBackend web;
    FakeBackend reserve;
    reserve.otherwise(respond(200, {}, "sorry"));
    const std::string checks = "health_check: {interval: 50ms}";
    const auto proxy = ProxyUnderTest::with_yaml(
        "pools:\n  web: {backends: [\"" + web.address() + "\"], when_all_down: {pool: reserve}, " +
        checks + "}\n  reserve: {backends: [\"" + reserve.address() + "\"]}\n" +
        "routes: [{path: /, pool: web}]\n");
    EXPECT_EQ(proxy.get().body, "ok");
    web.stop();
    ASSERT_TRUE(proxy.wait_for_state(web.address(), "down"));
    EXPECT_EQ(proxy.get().body, "sorry");
    web.start_again();
    ASSERT_TRUE(proxy.wait_for_state(web.address(), "up"));
    EXPECT_EQ(proxy.get().body, "ok");
}

class Retries : public testing::Test {
protected:
    /// Requests alternate: the first attempt of two requests in a row sees both backends.
    RawClient::Response ask(const ProxyUnderTest& proxy, const std::string& request) {
        auto client = proxy.connect();
        auto response = client.exchange(request);
        EXPECT_TRUE(response) << client.received();
        return response ? *response : RawClient::Response{};
    }
    double retries(const ProxyUnderTest& proxy, const std::string& reason) {
        return proxy.metric("rproxy_pool_retries_total", {{"reason", reason}}).value_or(-1);
    }

    FakeBackend bad_;
    FakeBackend good_;
    const std::string yaml_ = to(bad_, good_) + kNoChecks + "retry: {budget: 100%}\n";
};

TEST_F(Retries, RefusedConnectionsGoElsewhereWhateverTheMethod) {
    const auto proxy = ProxyUnderTest::with_yaml(yaml_);
    bad_.stop();
    for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(ask(proxy, get("/")).status, 200);
        EXPECT_EQ(ask(proxy, post("/", "body")).status, 200);
        EXPECT_EQ(good_.requests().back().body, "body");
    }
    EXPECT_EQ(good_.request_count(), 4U);
    EXPECT_GE(retries(proxy, "connect_failure"), 1);
}

TEST_F(Retries, GetIsRepeatedAfterAReset) {
    bad_.otherwise(hang_up());
    const auto proxy = ProxyUnderTest::with_yaml(yaml_);
    for (int i = 0; i < 2; ++i) {
        const auto response = ask(proxy, get("/"));
        EXPECT_EQ(response.status, 200);
        EXPECT_EQ(response.body, "ok");
    }
    ASSERT_GE(bad_.request_count(), 1U);
    EXPECT_EQ(retries(proxy, "reset"), bad_.request_count());
}

TEST_F(Retries, GoOnOverAPooledConnection) {
    const auto proxy = ProxyUnderTest::with_yaml(yaml_, {.workers = 1});
    for (int i = 0; i < 2; ++i) {
        ASSERT_EQ(ask(proxy, get("/")).status, 200);
    }
    bad_.otherwise(hang_up());
    for (int i = 0; i < 4; ++i) {
        EXPECT_EQ(ask(proxy, get("/")).status, 200);
    }
    EXPECT_GE(retries(proxy, "reset"), 1);
    EXPECT_EQ(connections_of(good_).size(), 1U);
}

TEST_F(Retries, PutWithItsBufferedBodyIsRepeatedWhole) {
    bad_.otherwise(hang_up());
    const auto proxy = ProxyUnderTest::with_yaml(yaml_);
    const std::string body = pattern(3000);
    for (int i = 0; i < 2; ++i) {
        auto request = post("/", body);
        request.replace(0, 4, "PUT");
        EXPECT_EQ(ask(proxy, request).status, 200);
    }
    ASSERT_EQ(good_.request_count(), 2U);
    for (const auto& request : good_.requests()) {
        EXPECT_TRUE(request.complete);
        EXPECT_TRUE(request.body == body);
    }
}

TEST_F(Retries, PostIsNotRepeatedOnceBytesWereSent) {
    bad_.otherwise(hang_up());
    const auto proxy = ProxyUnderTest::with_yaml(yaml_);
    std::multiset<int> statuses;
    for (int i = 0; i < 2; ++i) {
        statuses.insert(ask(proxy, post("/", "once")).status);
    }
    EXPECT_EQ(statuses, (std::multiset<int>{200, 502}));
    EXPECT_EQ(good_.request_count(), 1U);
    EXPECT_EQ(bad_.request_count(), 1U);
    EXPECT_EQ(proxy.metric("rproxy_pool_retries_denied_total", {{"reason", "not_idempotent"}}), 1);
}

TEST_F(Retries, AStalePooledConnectionIsReplacedOutsideTheBudget) {
    const auto proxy =
        ProxyUnderTest::with_yaml(to(good_) + kNoChecks + "retry: {limit: 0}\n", {.workers = 1});
    auto hang = hang_up();
    ASSERT_EQ(ask(proxy, get("/")).status, 200);
    good_.enqueue(hang);  // the second request on the kept connection meets its close
    EXPECT_EQ(ask(proxy, get("/")).status, 200);
    EXPECT_EQ(retries(proxy, "stale_connection"), 1);
    EXPECT_EQ(
        proxy.metric("rproxy_backend_response_failures_total", {{"reason", "stale_connection"}}),
        1);
    EXPECT_EQ(proxy.metric("rproxy_local_responses_total"), 0);
}

TEST_F(Retries, NeverAskABackendTwiceWhileAnotherIsLeft) {
    FakeBackend third;
    for (auto* backend : {&bad_, &good_, &third}) {
        backend->otherwise(hang_up());
    }
    const auto proxy = ProxyUnderTest::with_yaml(to(bad_, good_, third) + kNoChecks +
                                                 "retry: {limit: 9, budget: 100%}\n");
    EXPECT_EQ(ask(proxy, get("/")).reason(), "backend_reset");
    for (const auto* backend : {&bad_, &good_, &third}) {
        EXPECT_EQ(backend->request_count(), 1U);
    }
    EXPECT_EQ(proxy.metric("rproxy_pool_retries_denied_total", {{"reason", "no_backend"}}), 1);
}

TEST_F(Retries, EachTryHasItsTimeAndSlownessIsRemembered) {
    bad_.otherwise(stall_before_head());
    const auto proxy = ProxyUnderTest::with_yaml(to(bad_, good_) + kNoChecks +
                                                 "retry: {budget: 100%, per_try_timeout: 100ms}\n");
    for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(ask(proxy, get("/")).status, 200);
    }
    ASSERT_GE(bad_.request_count(), 1U);
    EXPECT_EQ(retries(proxy, "timeout"), bad_.request_count());
    EXPECT_EQ(proxy.metric("rproxy_backend_response_failures_total",
                           {{"backend", bad_.address()}, {"reason", "timeout"}}),
              bad_.request_count());
    EXPECT_GE(proxy.metric("rproxy_backend_latency_ewma_seconds", {{"backend", bad_.address()}}),
              0.1)
        << "who never answers is slow";
}

TEST_F(Retries, StopWhenTheBudgetOfAllWorkersIsUsedUp) {
    constexpr int kRequests = 600;
    for (auto* backend : {&bad_, &good_}) {
        backend->otherwise(raw("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"));
    }
    const auto proxy = ProxyUnderTest::with_yaml(
        to(bad_, good_) + kNoChecks +
            "outlier: {consecutive_failures: 0}\nretry: {limit: 1, budget: 20%}\n",
        {.workers = 2});
    const auto began = std::chrono::steady_clock::now();
    for (int connection = 0; connection < 20; ++connection) {
        auto client = proxy.connect();
        for (int i = 0; i < kRequests / 20; ++i) {
            ASSERT_EQ(client.exchange(get("/")).value().status, 503);
        }
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    const double made = retries(proxy, "503");
    // A burst of 100, a fifth of the requests and ten a second; each worker may have saved 20.
    EXPECT_LE(made, 100 + (0.2 * kRequests) + (10 * took.count()) + 1);
    EXPECT_GE(made, 100 + (0.2 * kRequests) - 42);
    EXPECT_EQ(
        proxy.metric("rproxy_pool_retries_denied_total", {{"reason", "budget"}}).value_or(0) + made,
        kRequests);
}

TEST_F(Retries, NeedABudgetAboveNothing) {
    bad_.otherwise(hang_up());
    const auto proxy =
        ProxyUnderTest::with_yaml(to(bad_, good_) + kNoChecks + "retry: {budget: 0%}\n");
    std::multiset<int> statuses;
    for (int i = 0; i < 2; ++i) {
        statuses.insert(ask(proxy, get("/")).status);
    }
    EXPECT_EQ(statuses, (std::multiset<int>{200, 502}));
    bad_.stop();
    for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(ask(proxy, get("/")).status, 200) << "a connection that never was costs nobody";
    }
}

/// In one piece: only an answer that is here as a whole can be kept for later.
Reply busy_at_once() {
    return raw("HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nbusy");
}

TEST_F(Retries, EndAtTheLimitWithTheLastRealAnswer) {
    for (auto* backend : {&bad_, &good_}) {
        backend->otherwise(busy_at_once());
    }
    FakeBackend third;
    third.otherwise(busy_at_once());
    const auto proxy = ProxyUnderTest::with_yaml(to(bad_, good_, third) + kNoChecks +
                                                 "retry: {limit: 1, budget: 100%}\n");
    const auto response = ask(proxy, get("/"));
    EXPECT_EQ(response.status, 503);
    EXPECT_EQ(response.body, "busy");
    EXPECT_EQ(response.header("Retry-After"), "7");
    EXPECT_EQ(response.reason(), "");
    EXPECT_EQ(bad_.request_count() + good_.request_count() + third.request_count(), 2U);
    EXPECT_EQ(retries(proxy, "503"), 1);
}

TEST_F(Retries, TheLastRealAnswerWinsOverOurOwn) {
    // In one piece: only an answer that is there as a whole is kept.
    bad_.otherwise(raw("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"));
    good_.otherwise(hang_up());
    const auto proxy = ProxyUnderTest::with_yaml(yaml_);
    std::multiset<std::string> bodies;
    for (int i = 0; i < 2; ++i) {
        const auto response = ask(proxy, get("/"));
        EXPECT_EQ(response.status, 503);
        bodies.insert(response.body);
    }
    EXPECT_EQ(bodies, (std::multiset<std::string>{"busy", "busy"}));
}

}  // namespace
}  // namespace rproxy::test
