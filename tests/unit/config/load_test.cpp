#include "config/load.h"

#include "unit/config/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace rproxy::config::testing {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> addresses(const Pool& pool) {
    std::vector<std::string> all;
    for (const auto& backend : pool.backends) {
        all.push_back(backend.address.to_string());
    }
    return all;
}

/// The only pool of a file in the short form.
Pool pool_of(std::string_view text) {
    const Snapshot snapshot = must_load(text);
    return snapshot.pools.size() == 1 ? snapshot.pools.front() : Pool{};
}

TEST(Load, FillsInEveryDefaultOfTheShortestFile) {
    Snapshot expected;
    Backend backend{.address = Endpoint{"10.0.0.1", 8080, {}}, .name = "10.0.0.1:8080"};
    expected.pools = {Pool{.name = "default", .backends = {backend}}};
    expected.routes = {Route{.host = "", .path = "/", .pool = "default"}};
    EXPECT_EQ(must_load("backends: [10.0.0.1:8080]\n"), expected);
}

TEST(Load, TakesPoolKeysAtTheTopForThePoolDefault) {
    const Snapshot snapshot = must_load(
        "method: least_connections\nbackends: [a:1]\nslow_start: 5s\nwhen_all_down: fail\n"
        "health_check: {path: /ok}\nretry: {limit: 0}\ntimeouts: {client_idle: 5s}\n");
    ASSERT_EQ(snapshot.pools.size(), 1U);
    const Pool& pool = snapshot.pools.front();
    EXPECT_EQ(pool.name, "default");
    EXPECT_EQ(pool.method, balancing::Method::LeastConnections);
    EXPECT_EQ(pool.slow_start, 5s);
    EXPECT_EQ(pool.when_all_down.action, WhenAllDown::Action::Fail);
    EXPECT_EQ(pool.health_check.path, "/ok");
    EXPECT_EQ(pool.retry.limit, 0U);
    EXPECT_EQ(snapshot.timeouts.client_idle, 5s);
}

TEST(Load, SplitsOneStringOfBackendsAtAnySeparator) {
    EXPECT_THAT(addresses(pool_of("backends: \"10.0.0.1:80; 10.0.0.2:80,10.0.0.3:80  a.b:80\"")),
                ElementsAre("10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80", "a.b:80"));
    EXPECT_THAT(addresses(pool_of("backends: |\n  10.0.0.1:80\n  10.0.0.2:80\n")),
                ElementsAre("10.0.0.1:80", "10.0.0.2:80"));
    EXPECT_THAT(addresses(pool_of("backends: 10.0.0.1:80")), ElementsAre("10.0.0.1:80"));
}

TEST(Load, TakesBackendsAsAMixedList) {
    const Pool pool = pool_of(
        "backends:\n- 10.0.0.1:80, 10.0.0.2:80\n- {address: a.B:80, name: big, weight: 3, "
        "max_connections: 100, state: drain}\n- \"[::1]:80\"\n- unix:/run/app.sock\n");
    EXPECT_THAT(addresses(pool), ElementsAre("10.0.0.1:80", "10.0.0.2:80", "a.b:80", "[::1]:80",
                                             "unix:/run/app.sock"));
    const Backend big{.address = Endpoint{"a.b", 80, {}},
                      .name = "big",
                      .weight = 3,
                      .max_connections = 100,
                      .state = AdminState::Drain};
    ASSERT_EQ(pool.backends.size(), 5U);
    EXPECT_EQ(pool.backends[2], big);
}

TEST(Load, NamesABackendByItsCanonicalAddress) {
    EXPECT_EQ(pool_of("backends: [\"[0:0::1]:80\"]").backends.front().name, "[::1]:80");
}

TEST(Load, AcceptsAPoolWithoutBackends) {
    EXPECT_TRUE(pool_of("backends: []").backends.empty());
    EXPECT_EQ(must_load("pools: {a: {backends: []}}").routes,
              std::vector{(Route{.host = "", .path = "/", .pool = "a"})});
}

TEST(Load, RoutesEverythingToTheOnlyPoolWhenTheListIsEmpty) {
    EXPECT_EQ(must_load("backends: [a:1]\nroutes: []").routes.size(), 1U);
}

TEST(Load, KeepsTheOrderOfPoolsAndRoutes) {
    const Snapshot snapshot = must_load(
        "pools: {z: {backends: []}, a: {backends: []}}\n"
        "routes: [{host: EXAMPLE.com, path: /x, pool: z}, {pool: a}]");
    ASSERT_EQ(snapshot.pools.size(), 2U);
    EXPECT_EQ(snapshot.pools[0].name, "z");
    EXPECT_EQ(snapshot.pools[1].name, "a");
    EXPECT_EQ(snapshot.routes[0], (Route{.host = "example.com", .path = "/x", .pool = "z"}));
    EXPECT_EQ(snapshot.routes[1], (Route{.host = "", .path = "/", .pool = "a"}));
}

TEST(Load, TakesNumbersAndBooleansInQuotes) {
    const Pool pool = pool_of(
        "backends: [{address: \"a:1\", weight: \"3\"}]\n"
        "health_check: {port: '8081', rise: \"1\"}\nhide_backend_identity: \"false\"\n");
    EXPECT_EQ(pool.backends.front().weight, 3U);
    EXPECT_EQ(pool.health_check.port, 8081);
    EXPECT_EQ(pool.health_check.rise, 1U);
    EXPECT_FALSE(pool.hide_backend_identity);
}

TEST(Load, TakesWordsThatLookLikeNumbersWithAndWithoutQuotes) {
    EXPECT_EQ(pool_of("backends: []\nretry: {on: [502, \"503\"]}").retry.on,
              static_cast<std::uint8_t>(RetryOn::Status502) |
                  static_cast<std::uint8_t>(RetryOn::Status503));
    const Snapshot snapshot = must_load(
        "backends: []\nlisteners: [{tls: {certificates: [{cert: c, key: k}], min_version: 1.3}}]");
    ASSERT_TRUE(snapshot.listeners.front().tls);
    EXPECT_EQ(snapshot.listeners.front().tls->min_version, TlsVersion::Tls13);
}

TEST(Load, TakesAnEmptyListOfRetryCausesForNone) {
    EXPECT_EQ(pool_of("backends: []\nretry: {on: []}").retry.on, 0);
}

TEST(Load, ReadsExpectedStatusInEveryForm) {
    const std::vector<StatusRange> both{{200, 200}, {204, 299}};
    for (const std::string form : {"200,204-299", "[200, 204-299]", "[\"200, 204-299\"]"}) {
        EXPECT_EQ(pool_of("backends: []\nhealth_check: {expect_status: " +
                          (form.starts_with('[') ? form : "\"" + form + "\"") + "}")
                      .health_check.expect_status,
                  both)
            << form;
    }
    EXPECT_EQ(
        pool_of("backends: []\nhealth_check: {expect_status: 204}").health_check.expect_status,
        std::vector{(StatusRange{204, 204})});
}

TEST(Load, ReadsHashOnInEveryForm) {
    const auto hash_on = [](const std::string& text) {
        return pool_of("backends: []\nhash_on: " + text).hash_on;
    };
    using enum HashOn::Source;
    EXPECT_EQ(hash_on("client_ip"), (HashOn{ClientIp, ""}));
    EXPECT_EQ(hash_on("path"), (HashOn{Path, ""}));
    EXPECT_EQ(hash_on("header:X-User"), (HashOn{Header, "x-user"}));
    EXPECT_EQ(hash_on("cookie:Sid"), (HashOn{Cookie, "Sid"}));
}

TEST(Load, ReadsWhenAllDownInEveryForm) {
    const Snapshot snapshot = must_load(
        "pools:\n  a: {backends: [], when_all_down: {pool: b}}\n"
        "  b: {backends: [], when_all_down: fail}\nroutes: [{pool: a}]");
    EXPECT_EQ(snapshot.pools[0].when_all_down, (WhenAllDown{WhenAllDown::Action::UsePool, "b"}));
    EXPECT_EQ(snapshot.pools[1].when_all_down, (WhenAllDown{WhenAllDown::Action::Fail, ""}));
}

TEST(Load, LeavesOptionalSectionsOffUnlessPresent) {
    EXPECT_FALSE(pool_of("backends: []").sticky);
    EXPECT_EQ(pool_of("backends: []\nsticky: {}").sticky, Sticky{});
    EXPECT_FALSE(must_load("backends: []").rollout);
    EXPECT_EQ(must_load("backends: []\nrollout: {for: 1m}").rollout->duration, 1min);
}

TEST(Load, ListensOnPortZeroForTests) {
    const Snapshot snapshot = must_load(
        "backends: []\nadmin: {address: 127.0.0.1:0}\n"
        "listeners: [{address: 127.0.0.1:0}, {name: b, address: 127.0.0.1:0}]");
    EXPECT_EQ(snapshot.listeners.front().address.port, 0);
    ASSERT_TRUE(snapshot.admin_address);
    EXPECT_EQ(snapshot.admin_address->to_string(), "127.0.0.1:0");
}

TEST(Salvage, KeepsWhereToListenOfAnInvalidFile) {
    const Snapshot snapshot = salvage(
        "listeners: [{address: 127.0.0.1:8000}]\nadmin: {address: 127.0.0.1:9000}\nmetod: x");
    EXPECT_EQ(snapshot.listeners.front().address.to_string(), "127.0.0.1:8000");
    ASSERT_TRUE(snapshot.admin_address);
    EXPECT_EQ(snapshot.admin_address->to_string(), "127.0.0.1:9000");
}

TEST(Salvage, TakesTheDefaultForWhatIsItselfWrong) {
    const Snapshot snapshot = salvage("listeners: [{adress: 127.0.0.1:8000}]\nbackends: []");
    EXPECT_EQ(snapshot.listeners, Snapshot{}.listeners);
    EXPECT_EQ(salvage("{ not yaml").listeners, Snapshot{}.listeners);
    EXPECT_EQ(salvage("").listeners, Snapshot{}.listeners);
}

}  // namespace
}  // namespace rproxy::config::testing
