// What explain tells of a running proxy is what its next request does, and telling moves nothing.

#include "integration/setup.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <array>
#include <cctype>
#include <cstdio>
#include <map>
#include <stdexcept>
#include <string>

namespace rproxy::test {
namespace {

using Json = nlohmann::json;

std::string encoded(const std::string& text) {
    std::string out;
    for (const char c : text) {
        std::array<char, 4> escape{};
        if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
            out += c;
        } else {
            std::snprintf(escape.data(), escape.size(), "%%%02X",
                          static_cast<unsigned>(static_cast<unsigned char>(c)));
            out += escape.data();
        }
    }
    return out;
}

Json explain(const RunningProxy& proxy, const std::string& query) {
    return proxy.admin().json("/api/v1/explain?" + query);
}

const Json& candidate(const Json& explanation, const FakeBackend& backend) {
    for (const auto& candidate : explanation["candidates"]) {
        if (candidate["address"] == backend.address()) {
            return candidate;
        }
    }
    throw std::runtime_error("no candidate " + backend.address());
}

class Explain : public testing::Test {
protected:
    Explain() {
        for (auto& backend : backends_) {
            backend.otherwise(respond(200, {}, backend.address()));
        }
    }
    std::string yaml(const std::string& more = {}) const {
        return to(backends_[0], backends_[1], backends_[2]) + kNoChecks + more;
    }
    std::size_t requests() const {
        std::size_t count = 0;
        for (const auto& backend : backends_) {
            count += backend.request_count();
        }
        return count;
    }

    std::array<FakeBackend, 3> backends_;
};

TEST_F(Explain, NamesTheBackendThatTheNextRequestGets) {
    for (const std::string method :
         {"round_robin", "least_connections", "ip_hash", "consistent_hash", "peak_ewma"}) {
        const auto proxy = ProxyUnderTest::with_yaml(yaml("method: " + method + "\n"));
        for (int i = 0; i < 7; ++i) {
            // The client has its answer a moment before the backend is free again.
            ASSERT_TRUE(wait_until(
                [&] { return proxy.metric("rproxy_backend_requests_active").value_or(1) == 0; }));
            const Json told = explain(proxy, "path=/x&client=127.0.0.1");
            const Json again = explain(proxy, "path=/x&client=127.0.0.1");
            EXPECT_EQ(told["pick"], again["pick"]) << method;
            EXPECT_EQ(told["pick"]["address"], proxy.get("/x").body) << method << told.dump(2);
        }
    }
}

TEST_F(Explain, SendsNothingAndCountsNothing) {
    const auto proxy = ProxyUnderTest::with_yaml(yaml());
    for (int i = 0; i < 10; ++i) {
        explain(proxy, "path=/");
    }
    EXPECT_EQ(requests(), 0U);
    EXPECT_EQ(proxy.metric("rproxy_pool_requests_total"), 0);
    EXPECT_EQ(proxy.metric("rproxy_backend_requests_active"), 0);
}

TEST_F(Explain, TellsTheChancesWhereChanceDecides) {
    const auto proxy = ProxyUnderTest::with_yaml(yaml("method: random\n"));
    const Json told = explain(proxy, "path=/");
    EXPECT_TRUE(told["pick"].is_null());
    EXPECT_EQ(told["decided_by"], "chance");
    for (const auto& candidate : told["candidates"]) {
        EXPECT_NEAR(candidate["chance"].get<double>(), 1.0 / 3, 1e-9);
    }
    EXPECT_EQ(told["verdict"], "goes to one of 3 backends by chance");
}

TEST_F(Explain, TellsWhichRouteMatchesAndWhyTheOthersDoNot) {
    const auto proxy =
        ProxyUnderTest::with_yaml("pools:\n  web: {backends: [\"" + backends_[0].address() +
                                  "\"]}\n  api: {backends: [\"" + backends_[1].address() +
                                  "\"]}\nroutes:\n"
                                  "  - {path: /, pool: web}\n"
                                  "  - {path: /api, pool: api}\n"
                                  "  - {host: other.example, path: /, pool: web}\n"
                                  "  - {path: /admin, pool: web}\n");
    const Json told = explain(proxy, "path=/public/../api/x&host=example.com");
    EXPECT_EQ(told["pool"], "api");
    EXPECT_EQ(told["request"]["routed_path"], "/api/x");
    std::map<std::string, std::string> why;
    for (const auto& route : told["routes"]) {
        why[route["host"].get<std::string>() + route["path"].get<std::string>()] = route["why"];
    }
    EXPECT_EQ(why["*/api"], "matched");
    EXPECT_EQ(why["*/admin"], "other path");
    EXPECT_EQ(why["other.example/"], "other host");
    EXPECT_EQ(why["*/"], "outranked by one for this host or with a longer path");
    EXPECT_EQ(explain(proxy, "pool=web&path=/api")["pool"], "web");
}

TEST_F(Explain, SaysThatNoRouteMatches) {
    const auto proxy =
        ProxyUnderTest::with_yaml("pools:\n  web: {backends: [\"" + backends_[0].address() +
                                  "\"]}\nroutes: [{path: /app, pool: web}]\n");
    const Json told = explain(proxy, "path=/other");
    EXPECT_EQ(told["answer"]["status"], 404);
    EXPECT_EQ(told["answer"]["reason"], "no_route");
    EXPECT_TRUE(told["pool"].is_null());
}

TEST_F(Explain, SaysWhyEachBackendIsOut) {
    FakeBackend gone;
    const std::string drained = backends_[1].address();
    const std::string disabled = backends_[2].address();
    const auto proxy = ProxyUnderTest::with_yaml(
        "backends:\n  - {address: \"" + backends_[0].address() + "\", name: here, weight: 3}\n" +
        "  - {address: \"" + drained + "\", state: drain}\n" + "  - {address: \"" + disabled +
        "\", state: disabled}\n  - \"" + gone.address() + "\"\n" + kQuickChecks);
    gone.stop();
    ASSERT_TRUE(proxy.wait_for_state(gone.address(), "down"));
    const Json told = explain(proxy, "path=/");
    EXPECT_EQ(told["pick"]["backend"], "here");
    EXPECT_TRUE(candidate(told, backends_[0])["offered"]);
    EXPECT_EQ(candidate(told, backends_[0])["weight"], 3);
    const auto why = [&](const FakeBackend& backend) {
        const Json& row = candidate(told, backend);
        EXPECT_FALSE(row["offered"]);
        EXPECT_EQ(row["chance"], 0);
        return row["why"].at(0).get<std::string>();
    };
    EXPECT_EQ(why(backends_[1]), "draining: `state: drain` in the configuration");
    EXPECT_EQ(why(backends_[2]), "disabled: `state: disabled` in the configuration");
    EXPECT_TRUE(why(gone).starts_with("down")) << why(gone);
}

TEST_F(Explain, PassesOverTheFullAndTellsOfTheQueue) {
    backends_[0].on("/slow", stall_before_head());
    const auto proxy = ProxyUnderTest::with_yaml(
        "backends: [{address: \"" + backends_[0].address() +
        "\", max_connections: 1}]\nqueue: {limit: 2, timeout: 5s}\n" + kNoChecks);
    auto client = proxy.connect();
    client.send(get("/slow"));
    ASSERT_TRUE(wait_until(
        [&] { return proxy.metric("rproxy_backend_requests_active").value_or(0) == 1; }));
    const Json told = explain(proxy, "path=/");
    EXPECT_EQ(candidate(told, backends_[0])["why"].at(0), "full: 1 of 1 requests in flight");
    EXPECT_EQ(told["verdict"], "waits for a free slot for up to 5s, as number 1 of at most 2");
    EXPECT_TRUE(told["answer"].is_null());
    backends_[0].release();
}

TEST_F(Explain, SaysThatEveryBackendIsFull) {
    backends_[0].on("/slow", stall_before_head());
    const auto proxy =
        ProxyUnderTest::with_yaml("backends: [{address: \"" + backends_[0].address() +
                                  "\", max_connections: 1}]\n" + kNoChecks);
    auto client = proxy.connect();
    client.send(get("/slow"));
    ASSERT_TRUE(wait_until(
        [&] { return proxy.metric("rproxy_backend_requests_active").value_or(0) == 1; }));
    EXPECT_EQ(explain(proxy, "path=/")["answer"]["reason"], "queue_full");
    backends_[0].release();
}

TEST_F(Explain, FollowsTheClientsCookie) {
    const auto proxy = ProxyUnderTest::with_yaml(yaml("sticky: {cookie: id}\n"));
    auto client = proxy.connect();
    const auto first = client.exchange(get("/"));
    ASSERT_TRUE(first);
    const auto cookie = first->header("Set-Cookie").value_or("");
    const auto header = "header=" + encoded("Cookie: " + cookie.substr(0, cookie.find(';')));
    for (int i = 0; i < 3; ++i) {
        proxy.get();  // whoever has the turn, the cookie's backend has the request
        const Json told = explain(proxy, "path=/&" + header);
        EXPECT_EQ(told["pick"]["address"], first->body);
        EXPECT_EQ(told["decided_by"], "cookie");
        EXPECT_TRUE(told["sticky"]["followed"]);
    }
    const Json without = explain(proxy, "path=/");
    EXPECT_FALSE(without["sticky"]["followed"]);
    EXPECT_EQ(without["sticky"]["why"], "the request has no such cookie");
    const Json foreign = explain(proxy, "path=/&header=" + encoded("Cookie: id=unknown"));
    EXPECT_EQ(foreign["sticky"]["why"], "it names no backend of this pool: the method chooses");
}

TEST_F(Explain, HashesWhatTheConfigurationNames) {
    const auto proxy =
        ProxyUnderTest::with_yaml(yaml("method: consistent_hash\nhash_on: header:X-User\n"));
    for (const std::string user : {"ann", "bob", "eve", "joe"}) {
        auto client = proxy.connect();
        const auto response = client.exchange(get("/", "X-User: " + user + "\r\n"));
        const Json told = explain(proxy, "path=/&header=" + encoded("x-user: " + user));
        EXPECT_EQ(told["pick"]["address"], response->body);
        EXPECT_EQ(told["hashed_by"], "the header x-user");
    }
    EXPECT_EQ(explain(proxy, "path=/")["hashed_by"],
              "the client's address, for the request has no header x-user");
}

TEST_F(Explain, LooksBehindTrustedProxies) {
    const auto proxy = ProxyUnderTest::with_yaml(yaml("trusted_proxies: [10.0.0.0/8]\n"));
    const auto header = "header=" + encoded("X-Forwarded-For: 192.0.2.7");
    EXPECT_EQ(explain(proxy, "client=10.1.1.1&" + header)["request"]["client"], "192.0.2.7");
    EXPECT_EQ(explain(proxy, "client=11.1.1.1&" + header)["request"]["client"], "11.1.1.1");
}

TEST_F(Explain, TellsOfFailOpenAndOfThePoolInTheirPlace) {
    FakeBackend gone;
    FakeBackend away;
    const auto proxy = ProxyUnderTest::with_yaml(
        "pools:\n  web: {backends: [\"" + gone.address() +
        "\"], health_check: {interval: 100ms}}\n  main: {backends: [\"" + away.address() +
        "\"], when_all_down: {pool: spare}, health_check: {interval: 100ms}}\n"
        "  spare: {backends: [\"" +
        backends_[0].address() + "\"]}\nroutes: [{path: /, pool: web}, {path: /m, pool: main}]\n");
    gone.stop();
    away.stop();
    ASSERT_TRUE(proxy.wait_for_state(gone.address(), "down"));
    ASSERT_TRUE(proxy.wait_for_state(away.address(), "down"));
    const Json open = explain(proxy, "path=/");
    EXPECT_TRUE(open["fail_open"]);
    EXPECT_EQ(open["pick"]["address"], gone.address());
    EXPECT_EQ(candidate(open, gone)["why"].at(0),
              "tried although it is down, since nothing is up (when_all_down: try_anyway)");
    const Json instead = explain(proxy, "path=/m");
    EXPECT_EQ(instead["pool"], "spare");
    EXPECT_EQ(instead["fallback_from"], "main");
    EXPECT_EQ(instead["pick"]["address"], backends_[0].address());
}

TEST_F(Explain, SaysThatThereIsNoConfiguration) {
    ProxyOptions options;
    options.file_missing = true;
    options.await_ready = false;
    const auto proxy = ProxyUnderTest::with_yaml(yaml(), options);
    EXPECT_EQ(explain(proxy, "path=/")["answer"]["reason"], "no_config");
}

TEST_F(Explain, RefusesWhatItCannotAsk) {
    const auto proxy = ProxyUnderTest::with_yaml(yaml());
    const auto error = [&](const std::string& query) {
        const auto response = proxy.admin().get("/api/v1/explain?" + query);
        EXPECT_EQ(response.status, 400) << query;
        return Json::parse(response.body)["error"].get<std::string>();
    };
    EXPECT_EQ(error("clinet=1.2.3.4"), "unknown parameter 'clinet', did you mean 'client'?");
    EXPECT_EQ(error("pool=nope"), "pool: there is no pool 'nope'");
    EXPECT_EQ(error("method=CONNECT").substr(0, 26), "such a request is refused:");
    EXPECT_EQ(error("format=xml"), "format: 'xml' is neither json nor text");
}

TEST_F(Explain, IsReadableAsText) {
    const auto proxy = ProxyUnderTest::with_yaml(yaml("method: least_connections\n"));
    const auto text =
        proxy.admin().get("/api/v1/explain?format=text&path=/a&client=192.0.2.1").body;
    EXPECT_NE(text.find("GET /a from 192.0.2.1, generation 1\n"), std::string::npos) << text;
    EXPECT_NE(text.find("pool default: least_connections\n"), std::string::npos) << text;
    EXPECT_NE(text.find("BACKEND"), std::string::npos) << text;
    EXPECT_NE(text.find("\ngoes to 127.0.0.1:"), std::string::npos) << text;
    EXPECT_EQ(text.find(" \n"), std::string::npos) << "blanks at the end of a line";
}

}  // namespace
}  // namespace rproxy::test
