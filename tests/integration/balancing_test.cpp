#include "integration/setup.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace rproxy::test {
namespace {

/// Backends that answer with their index.
class Balancing : public testing::Test {
protected:
    Balancing() {
        for (std::size_t i = 0; i < backends_.size(); ++i) {
            backends_[i].otherwise(respond(200, {}, std::to_string(i)));
        }
    }
    std::string three() const { return to(backends_[0], backends_[1], backends_[2]); }
    /// Each request over a connection of its own, so that all workers serve.
    std::vector<std::string> ask(const ProxyUnderTest& proxy, int count) {
        const auto port = proxy.port();
        std::vector<std::string> answers;
        for (int i = 0; i < count; ++i) {
            const auto response = RawClient(port).exchange(get("/", "Connection: close\r\n"));
            answers.push_back(response ? response->body : "no answer");
        }
        return answers;
    }
    std::map<std::string, int> share(const ProxyUnderTest& proxy, int count) {
        std::map<std::string, int> shares;
        for (const auto& answer : ask(proxy, count)) {
            ++shares[answer];
        }
        return shares;
    }
    using Shares = std::map<std::string, int>;

    std::array<FakeBackend, 3> backends_;
};

TEST_F(Balancing, RoundRobinIsExactOverAllWorkers) {
    const auto proxy = ProxyUnderTest::with_yaml(three() + kNoChecks, {.workers = 2});
    const auto answers = ask(proxy, 30);
    for (std::size_t i = 3; i < answers.size(); ++i) {
        EXPECT_EQ(answers[i], answers[i - 3]) << "request " << i;
    }
    EXPECT_EQ(std::set<std::string>(answers.begin(), answers.begin() + 3).size(), 3U);
}

TEST_F(Balancing, WeightsAreExactAndSmooth) {
    const auto proxy = ProxyUnderTest::with_yaml(
        "backends:\n  - {address: \"" + backends_[0].address() +
        "\", weight: 3}\n  - {address: \"" + backends_[1].address() + "\"}\n  - {address: \"" +
        backends_[2].address() + "\", weight: 0}\n");
    const auto answers = ask(proxy, 40);
    EXPECT_EQ(std::ranges::count(answers, "0"), 30);
    EXPECT_EQ(std::ranges::count(answers, "1"), 10);
    for (std::size_t i = 4; i < answers.size(); ++i) {
        EXPECT_EQ(answers[i], answers[i - 4]) << "request " << i;
    }
}

TEST_F(Balancing, LeastConnectionsCountsRequestsOfAllWorkers) {
    const auto proxy = ProxyUnderTest::with_yaml(
        three() + "method: least_connections\n" + kNoChecks, {.workers = 2});
    for (auto& backend : backends_) {
        backend.on("/hold", stall_before_head());
    }
    // Whichever workers they land on, nine held requests are three for each backend.
    std::vector<RawClient> holders;
    for (std::size_t i = 0; i < 9; ++i) {
        holders.push_back(proxy.connect());
        holders.back().send(get("/hold"));
        ASSERT_TRUE(wait_until([&] {
            return backends_[0].request_count() + backends_[1].request_count() +
                       backends_[2].request_count() ==
                   i + 1;
        }));
    }
    for (auto& backend : backends_) {
        EXPECT_EQ(backend.request_count(), 3U);
    }
    backends_[1].release();
    ASSERT_TRUE(wait_until([&] { return proxy.metric("rproxy_backend_requests_active") == 6; }));
    EXPECT_EQ(share(proxy, 10), (Shares{{"1", 10}}));
}

TEST_F(Balancing, RandomSpreads) {
    const auto proxy = ProxyUnderTest::with_yaml(three() + "method: random\n" + kNoChecks);
    auto shares = share(proxy, 150);
    for (const std::string name : {"0", "1", "2"}) {
        EXPECT_GT(shares[name], 20) << "one chance in a hundred thousand";
    }
}

TEST_F(Balancing, IpHashKeepsClientsAndMovesOnlyThoseOfALostBackend) {
    auto proxy = ProxyUnderTest::with_yaml(
        three() + "method: ip_hash\ntrusted_proxies: [127.0.0.0/8]\n" + kNoChecks);
    const auto backend_of = [&](int client) {
        auto connection = proxy.connect();
        const auto response = connection.exchange(
            get("/", "X-Forwarded-For: 10.0.0." + std::to_string(client) + "\r\n"));
        return response ? response->body : "no answer";
    };
    std::vector<std::string> before;
    for (int client = 0; client < 60; ++client) {
        before.push_back(backend_of(client));
        EXPECT_EQ(backend_of(client), before.back()) << client;
    }
    EXPECT_EQ(std::set<std::string>(before.begin(), before.end()).size(), 3U);
    proxy.reload("backends:\n  - \"" + backends_[0].address() + "\"\n  - {address: \"" +
                 backends_[1].address() + "\", state: disabled}\n  - \"" + backends_[2].address() +
                 "\"\nmethod: ip_hash\ntrusted_proxies: [127.0.0.0/8]\n" + kNoChecks);
    for (std::size_t client = 0; client < before.size(); ++client) {
        const auto now = backend_of(static_cast<int>(client));
        if (before[client] == "1") {
            EXPECT_NE(now, "1") << client;
        } else {
            EXPECT_EQ(now, before[client]) << client << " moved without need";
        }
    }
}

TEST_F(Balancing, SelectionByConnectionStaysForAConnection) {
    const auto proxy =
        ProxyUnderTest::with_yaml(three() + "selection: {by: connection}\n" + kNoChecks);
    std::map<std::string, int> shares;
    for (int i = 0; i < 6; ++i) {
        auto client = proxy.connect();
        const auto first = client.exchange(get("/"));
        ASSERT_TRUE(first);
        ++shares[first->body];
        for (int again = 0; again < 4; ++again) {
            const auto next = client.exchange(get("/"));
            ASSERT_TRUE(next);
            EXPECT_EQ(next->body, first->body);
        }
    }
    EXPECT_EQ(shares, (Shares{{"0", 2}, {"1", 2}, {"2", 2}}));
}

TEST_F(Balancing, ASlotThatTheFirstInTheQueueHasTriedGoesToTheNext) {
    const auto limited = [](const FakeBackend& backend) {
        return "  - {address: \"" + backend.address() + "\", max_connections: 1}\n";
    };
    const auto proxy =
        ProxyUnderTest::with_yaml("backends:\n" + limited(backends_[0]) + limited(backends_[1]) +
                                      kNoChecks + "queue: {limit: 10, timeout: 1h}\n",
                                  {.workers = 1});
    for (auto& backend : backends_) {
        backend.on("/hold", stall_before_head());
    }
    const auto waiting = [&](double count) {
        return wait_until([&] { return proxy.metric("rproxy_pool_queue_length") == count; });
    };
    const auto ask_for = [&](const std::string& path) {
        auto client = proxy.connect();
        client.send(get(path));
        return client;
    };
    const auto holder = ask_for("/hold");
    ASSERT_TRUE(wait_until(
        [&] { return backends_[0].request_count() + backends_[1].request_count() == 1; }));
    auto& busy = backends_.at(backends_[0].request_count() == 1 ? 0 : 1);
    auto& other = backends_.at(backends_[0].request_count() == 1 ? 1 : 0);
    other.on("/first", hang_up());
    auto first = ask_for("/first");
    ASSERT_TRUE(waiting(1)) << "it has tried the one and waits for the other";
    const auto next_holder = ask_for("/hold");
    ASSERT_TRUE(other.wait_for_requests(2));
    auto second = ask_for("/second");
    ASSERT_TRUE(waiting(2));
    other.release();
    EXPECT_EQ(second.response().value_or(RawClient::Response{}).status, 200);
    ASSERT_TRUE(waiting(1));
    busy.release();
    EXPECT_EQ(first.response().value_or(RawClient::Response{}).status, 200);
}

TEST_F(Balancing, SelectionByIntervalIsOneForAllUntilItEnds) {
    auto proxy = ProxyUnderTest::with_yaml(three() + "selection: {by: interval, interval: 1h}\n" +
                                           kNoChecks);
    EXPECT_EQ(share(proxy, 12).size(), 1U);
    proxy.reload(three() + "selection: {by: interval, interval: 100ms}\n" + kNoChecks);
    std::set<std::string> seen;
    EXPECT_TRUE(wait_until([&] {
        seen.insert(proxy.get().body);
        return seen.size() == 3;
    })) << "the choice is not renewed";
}

TEST_F(Balancing, AConnectionKeepsItsBackendThroughAReload) {
    const std::string rest = "selection: {by: connection}\n" + kNoChecks;
    auto proxy = ProxyUnderTest::with_yaml(three() + rest);
    auto client = proxy.connect();
    const auto first = client.exchange(get("/"));
    ASSERT_TRUE(first);
    // Others come before it, so that its slot is another one.
    FakeBackend added;
    proxy.reload(to(added, backends_[2], backends_[1], backends_[0]) + rest);
    for (int again = 0; again < 8; ++again) {
        const auto next = client.exchange(get("/"));
        ASSERT_TRUE(next);
        EXPECT_EQ(next->body, first->body);
    }
    // Gone with its backend, and then the new choice stays.
    const auto own = static_cast<std::size_t>(std::stoi(first->body));
    proxy.reload(to(backends_[(own + 1) % 3], backends_[(own + 2) % 3]) + rest);
    const auto moved = client.exchange(get("/"));
    ASSERT_TRUE(moved);
    EXPECT_NE(moved->body, first->body);
    EXPECT_EQ(client.exchange(get("/")).value().body, moved->body);
}

TEST_F(Balancing, AnIntervalsChoiceIsOneForAllWorkersAndSurvivesAReload) {
    const std::string rest = "selection: {by: interval, interval: 1h}\n" + kNoChecks;
    auto proxy = ProxyUnderTest::with_yaml(three() + rest, {.workers = 2});
    const auto before = share(proxy, 20);
    ASSERT_EQ(before.size(), 1U);
    FakeBackend added;
    proxy.reload(to(added, backends_[2], backends_[1], backends_[0]) + rest);
    EXPECT_EQ(share(proxy, 20), before);
    const auto own = static_cast<std::size_t>(std::stoi(before.begin()->first));
    backends_.at(own).stop();
    const auto after = share(proxy, 20);
    EXPECT_FALSE(after.contains(before.begin()->first)) << "a backend that refuses is no outage";
}

TEST_F(Balancing, ConsistentHashFollowsItsKeyWhoeverAsks) {
    const std::string yaml = three() + "method: consistent_hash\nhash_on: \"header:X-User\"\n";
    const auto proxy = ProxyUnderTest::with_yaml(yaml + kNoChecks, {.workers = 2});
    const auto replica = ProxyUnderTest::with_yaml(yaml + kNoChecks, {.workers = 1});
    std::set<std::string> used;
    for (int user = 0; user < 20; ++user) {
        const auto request = get("/", "X-User: u" + std::to_string(user) + "\r\n");
        const auto first = RawClient(proxy.port()).exchange(request);
        ASSERT_TRUE(first);
        used.insert(first->body);
        // One that is not quite over yet would count towards the bound.
        ASSERT_TRUE(
            wait_until([&] { return proxy.metric("rproxy_listener_requests_active") == 0; }));
        EXPECT_EQ(RawClient(proxy.port()).exchange(request).value().body, first->body);
        EXPECT_EQ(RawClient(replica.port()).exchange(request).value().body, first->body);
    }
    EXPECT_EQ(used.size(), 3U);
}

TEST_F(Balancing, ARecoveredBackendStartsSlowly) {
    const auto proxy =
        ProxyUnderTest::with_yaml(three() + "slow_start: 4s\n" + kQuickChecks, {.workers = 1});
    const auto weight = [&](const FakeBackend& backend) {
        return proxy.metric("rproxy_backend_effective_weight", {{"backend", backend.address()}})
            .value_or(0);
    };
    ASSERT_TRUE(wait_until([&] {
        return std::ranges::all_of(backends_, [&](const auto& one) { return weight(one) == 1; });
    }));
    backends_[0].stop();
    ASSERT_TRUE(proxy.wait_for_state(backends_[0].address(), "down"));
    backends_[0].start_again();
    ASSERT_TRUE(proxy.wait_for_state(backends_[0].address(), "up"));
    auto shares = share(proxy, 210);
    // A tenth of a full share, which would be 70, at the beginning.
    EXPECT_GE(shares["0"], 5);
    EXPECT_LE(shares["0"], 40);
    EXPECT_EQ(weight(backends_[1]), 1);
    EXPECT_TRUE(wait_until([&] { return weight(backends_[0]) == 1; }));
}

TEST_F(Balancing, DrainingAndDisabledBackendsGetNothingNew) {
    const auto proxy = ProxyUnderTest::with_yaml("backends:\n  - \"" + backends_[0].address() +
                                                 "\"\n  - {address: \"" + backends_[1].address() +
                                                 "\", state: drain}\n  - {address: \"" +
                                                 backends_[2].address() + "\", state: disabled}\n");
    EXPECT_EQ(share(proxy, 10), (Shares{{"0", 10}}));
    EXPECT_EQ(proxy.backend_state(backends_[1].address()), "draining");
    EXPECT_EQ(proxy.backend_state(backends_[2].address()), "disabled");
    EXPECT_EQ(proxy.metric("rproxy_backend_up", {{"backend", backends_[1].address()}}), 0);
    EXPECT_FALSE(proxy.metric("rproxy_backend_last_crash_timestamp_seconds"))
        << "what the operator wants is no crash";
}

}  // namespace
}  // namespace rproxy::test
