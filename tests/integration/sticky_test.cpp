#include "integration/setup.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace rproxy::test {
namespace {

/// Three backends that answer with their index, in a pool with `sticky`.
class Sticky : public testing::Test {
protected:
    Sticky() {
        for (std::size_t i = 0; i < backends_.size(); ++i) {
            backends_.at(i).otherwise(respond(200, {}, std::to_string(i)));
        }
    }
    std::string yaml(const std::string& more = {}) const {
        return to(backends_[0], backends_[1], backends_[2]) + kNoChecks +
               "sticky: {cookie: id, ttl: 90s}\n" + more;
    }
    struct Answer {
        std::string body;
        std::optional<std::string> set_cookie;
    };
    /// Over a connection of its own.
    static Answer ask(const RunningProxy& proxy, const std::string& cookie = {}) {
        auto client = proxy.connect();
        return ask(client, cookie);
    }
    static Answer ask(RawClient& client, const std::string& cookie = {}) {
        const auto response =
            client.exchange(get("/", cookie.empty() ? "" : "Cookie: " + cookie + "\r\n"));
        return response ? Answer{response->body, response->header("Set-Cookie")}
                        : Answer{"no answer", {}};
    }
    /// `id=…`, without the attributes.
    static std::string pair_of(const Answer& answer) {
        return answer.set_cookie.value_or("").substr(0, answer.set_cookie.value_or("").find(';'));
    }
    FakeBackend& backend(const std::string& body) { return backends_.at(std::stoul(body)); }

    std::array<FakeBackend, 3> backends_;
};

TEST_F(Sticky, KeepsEachClientOnItsBackendWithoutNamingIt) {
    const auto proxy = ProxyUnderTest::with_yaml(yaml());
    std::set<std::string> bodies;
    for (int i = 0; i < 3; ++i) {
        const auto first = ask(proxy);
        bodies.insert(first.body);
        ASSERT_TRUE(first.set_cookie);
        EXPECT_TRUE(first.set_cookie->ends_with("; Path=/; Max-Age=90; HttpOnly; SameSite=Lax"))
            << *first.set_cookie;
        EXPECT_EQ(pair_of(first).size(), std::string("id=").size() + 22);
        EXPECT_EQ(first.set_cookie->find(std::to_string(backend(first.body).port())),
                  std::string::npos);
        for (int again = 0; again < 6; ++again) {
            const auto next = ask(proxy, "theme=dark; " + pair_of(first));
            EXPECT_EQ(next.body, first.body);
            EXPECT_FALSE(next.set_cookie) << "it is known already";
        }
    }
    EXPECT_EQ(bodies.size(), 3U) << "new clients are balanced as ever";
}

TEST_F(Sticky, IsUnderstoodByReplicasAndAfterAReload) {
    auto proxy = ProxyUnderTest::with_yaml(yaml());
    const auto replica = ProxyUnderTest::with_yaml(yaml());
    const auto first = ask(proxy);
    proxy.reload(to(backends_[2], backends_[1], backends_[0]) + kNoChecks +
                 "sticky: {cookie: id, ttl: 90s}\n");
    for (int i = 0; i < 4; ++i) {
        for (const RunningProxy* other : {static_cast<const RunningProxy*>(&proxy),
                                          static_cast<const RunningProxy*>(&replica)}) {
            const auto next = ask(*other, pair_of(first));
            EXPECT_EQ(next.body, first.body);
            EXPECT_FALSE(next.set_cookie);
        }
    }
}

TEST_F(Sticky, MovesTheClientWhenItsBackendIsRemovedOrDraining) {
    for (const std::string state : {"", ", state: drain", ", state: disabled"}) {
        auto proxy = ProxyUnderTest::with_yaml(yaml());
        const auto first = ask(proxy);
        std::string backends = "backends:\n";
        for (const auto& one : backends_) {
            const bool affected = &one == &backend(first.body);
            if (!affected || !state.empty()) {
                backends +=
                    "  - {address: \"" + one.address() + "\"" + (affected ? state : "") + "}\n";
            }
        }
        proxy.reload(backends + kNoChecks + "sticky: {cookie: id, ttl: 90s}\n");
        const auto moved = ask(proxy, pair_of(first));
        EXPECT_NE(moved.body, first.body) << state;
        EXPECT_NE(pair_of(moved), pair_of(first)) << state;
        const auto stays = ask(proxy, pair_of(moved));
        EXPECT_EQ(stays.body, moved.body) << state;
        EXPECT_FALSE(stays.set_cookie) << state;
    }
}

TEST_F(Sticky, MovesTheClientWhenARetryFindsAnotherBackend) {
    const auto proxy = ProxyUnderTest::with_yaml(yaml());
    const auto first = ask(proxy);
    backend(first.body).stop();
    const auto retried = ask(proxy, pair_of(first));
    EXPECT_NE(retried.body, first.body);
    EXPECT_NE(retried.body, "no answer");
    EXPECT_TRUE(retried.set_cookie);
    EXPECT_EQ(ask(proxy, pair_of(retried)).body, retried.body);
}

TEST_F(Sticky, BindsNobodyToAnAnswerThatWasToBeReplaced) {
    const auto proxy = ProxyUnderTest::with_yaml(
        yaml("selection: {by: connection}\nretry: {limit: 5, budget: 100%}\n"));
    auto client = proxy.connect();
    const auto first = ask(client);
    ASSERT_TRUE(first.set_cookie);
    // In one piece: only an answer that is here as a whole can be kept for later.
    backend(first.body).otherwise(raw("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"));
    for (auto& one : backends_) {
        if (&one != &backend(first.body)) {
            one.stop();
        }
    }
    const auto busy = ask(client);
    EXPECT_EQ(busy.body, "busy") << "the others do not answer at all";
    EXPECT_FALSE(busy.set_cookie);
}

TEST_F(Sticky, TreatsAForgedCookieAsNone) {
    const auto proxy = ProxyUnderTest::with_yaml(yaml());
    auto forged = pair_of(ask(proxy));
    forged.back() = forged.back() == 'A' ? 'B' : 'A';
    std::set<std::string> bodies;
    for (int i = 0; i < 3; ++i) {
        const auto answer = ask(proxy, forged);
        bodies.insert(answer.body);
        EXPECT_TRUE(answer.set_cookie);
    }
    EXPECT_EQ(bodies.size(), 3U);
}

TEST_F(Sticky, FindsItsCookieInAnyOfSeveralFields) {
    const auto proxy = ProxyUnderTest::with_yaml(yaml());
    const auto first = ask(proxy);
    for (int i = 0; i < 4; ++i) {
        const auto response = proxy.connect().exchange(
            get("/", "Cookie: a=b; id=stale\r\nCookie: " + pair_of(first) + "\r\n"));
        ASSERT_TRUE(response);
        EXPECT_EQ(response->body, first.body);
    }
}

TEST_F(Sticky, ComesBeforeTheConnectionsChoice) {
    const auto proxy = ProxyUnderTest::with_yaml(yaml("selection: {by: connection}\n"));
    auto client = proxy.connect();
    const auto own = ask(client);
    std::optional<Answer> other;
    while (!other || other->body == own.body) {
        other = ask(proxy);
    }
    EXPECT_EQ(ask(client, pair_of(*other)).body, other->body);
    const auto back = ask(client);
    EXPECT_EQ(back.body, own.body) << "the cookie of one user must not move the others";
    EXPECT_EQ(pair_of(back), pair_of(own));
}

TEST_F(Sticky, ComesWithAnUpgradeToo) {
    for (auto& one : backends_) {
        one.otherwise(upgrade("echo"));
    }
    const auto proxy = ProxyUnderTest::with_yaml(yaml());
    auto client = proxy.connect();
    client.send(get("/", "Connection: upgrade\r\nUpgrade: echo\r\n"));
    const auto response = client.response();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->status, 101);
    EXPECT_TRUE(response->header("Set-Cookie"));
}

}  // namespace
}  // namespace rproxy::test
