#include "routing/route_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rproxy::routing {
namespace {

std::vector<config::Pool> pools(std::initializer_list<std::string> names) {
    std::vector<config::Pool> result;
    for (const auto& name : names) {
        result.push_back({.name = name});
    }
    return result;
}

constexpr std::optional<std::uint32_t> kNone;

TEST(RouteTable, PrefersTheHostThenTheLongestPrefix) {
    const std::vector<config::Route> routes{
        {.host = "", .path = "/", .pool = "any"},
        {.host = "", .path = "/api", .pool = "any_api"},
        {.host = "example.com", .path = "/", .pool = "site"},
        {.host = "example.com", .path = "/api", .pool = "site_api"},
        {.host = "example.com", .path = "/api/v2/", .pool = "site_v2"},
        {.host = "only.example", .path = "/app", .pool = "app"},
        {.host = "[2001:db8::1]", .path = "/", .pool = "six"},
    };
    const auto all = pools({"any", "any_api", "site", "site_api", "site_v2", "app", "six"});
    const RouteTable table(routes, all);
    struct Case {
        std::string_view host;
        std::string_view path;
        std::string_view pool;
    };
    const std::vector<Case> cases{
        {"example.com", "/", "site"},
        {"example.com", "/x", "site"},
        {"example.com", "/api", "site_api"},
        {"example.com", "/api/", "site_api"},
        {"example.com", "/api/x", "site_api"},
        {"example.com", "/apix", "site"},  // whole segments only
        {"example.com", "/API", "site"},   // paths are case-sensitive
        {"example.com", "/api/v2", "site_api"},
        {"example.com", "/api/v2/", "site_v2"},
        {"example.com", "/api/v2/x", "site_v2"},
        {"EXAMPLE.Com", "/api", "site_api"},
        {"example.com:8080", "/api", "site_api"},
        {"EXAMPLE.com:", "/api", "site_api"},
        {"sub.example.com", "/api", "any_api"},
        {"example.co", "/", "any"},
        {"", "/api/x", "any_api"},
        {"only.example", "/app/x", "app"},
        {"only.example", "/other", "any"},  // no path of this host matches
        {"only.example", "/api", "any_api"},
        {"[2001:db8::1]:80", "/", "six"},
        {"[2001:DB8::1]", "/", "six"},
        {"[2001:db8::2]", "/", "any"},
    };
    for (const auto& [host, path, pool] : cases) {
        const auto found = table.find(host, path);
        ASSERT_TRUE(found) << host << path;
        EXPECT_EQ(all.at(*found).name, pool) << host << path;
        const auto considered = table.explain(host, path);
        EXPECT_EQ(considered.size(), routes.size());
        const auto matched = std::ranges::find(considered, RouteTable::Verdict::Matched,
                                               &RouteTable::Considered::verdict);
        ASSERT_NE(matched, considered.end()) << host << path;
        EXPECT_EQ(matched->pool, *found) << host << path;
    }
}

TEST(RouteTable, TellsWhyTheOtherRoutesDoNotServe) {
    const std::vector<config::Route> routes{
        {.host = "", .path = "/", .pool = "any"},
        {.host = "example.com", .path = "/", .pool = "site"},
        {.host = "example.com", .path = "/api", .pool = "api"},
        {.host = "example.com", .path = "/admin", .pool = "site"},
        {.host = "other.example", .path = "/", .pool = "any"},
    };
    const auto all = pools({"any", "site", "api"});
    const RouteTable table(routes, all);
    std::string told;
    for (const auto& route : table.explain("Example.com:8080", "/api/x")) {
        constexpr std::array<std::string_view, 4> kWords{"matched", "other host", "other path",
                                                         "outranked"};
        told += route.host + route.path + " " +
                std::string(kWords.at(static_cast<std::size_t>(route.verdict))) + "\n";
    }
    EXPECT_EQ(told,
              "example.com/admin other path\n"
              "example.com/api matched\n"
              "example.com/ outranked\n"
              "/ outranked\n"
              "other.example/ other host\n");
}

TEST(RouteTable, ExplainsThatNothingMatches) {
    const std::vector<config::Route> routes{{.host = "", .path = "/y", .pool = "p"}};
    const auto all = pools({"p"});
    const auto considered = RouteTable(routes, all).explain("a.example", "/x");
    ASSERT_EQ(considered.size(), 1U);
    EXPECT_EQ(considered.front().verdict, RouteTable::Verdict::OtherPath);
}

TEST(RouteTable, FindsNothingWhereNoRouteMatches) {
    const std::vector<config::Route> routes{{.host = "a.example", .path = "/x", .pool = "p"},
                                            {.host = "", .path = "/y", .pool = "p"}};
    const auto all = pools({"p"});
    const RouteTable table(routes, all);
    EXPECT_EQ(table.find("a.example", "/"), kNone);
    EXPECT_EQ(table.find("b.example", "/x"), kNone);
    EXPECT_EQ(table.find("a.example", "*"), kNone);
    EXPECT_EQ(table.find("b.example", "/y"), std::optional{0U});
    EXPECT_EQ(RouteTable{}.find("a.example", "/x"), kNone);
}

TEST(RouteTable, NumbersPoolsByTheirPosition) {
    const std::vector<config::Route> routes{{.host = "", .path = "/", .pool = "third"}};
    EXPECT_EQ(RouteTable(routes, pools({"first", "second", "third"})).find("", "/"),
              std::optional{2U});
}

TEST(RouteTable, TakesTheFirstOfEqualRoutes) {
    const std::vector<config::Route> routes{{.host = "", .path = "/a", .pool = "first"},
                                            {.host = "", .path = "/b", .pool = "second"},
                                            {.host = "", .path = "/a", .pool = "second"}};
    EXPECT_EQ(RouteTable(routes, pools({"first", "second"})).find("", "/a"), std::optional{0U});
}

TEST(RouteTable, LooksNoHostUpThatIsLongerThanAnyName) {
    const std::vector<config::Route> routes{{.host = "a.example", .path = "/", .pool = "host"},
                                            {.host = "", .path = "/", .pool = "any"}};
    EXPECT_EQ(RouteTable(routes, pools({"host", "any"})).find(std::string(300, 'a'), "/"),
              std::optional{1U});
}

}  // namespace
}  // namespace rproxy::routing
