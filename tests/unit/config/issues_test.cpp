#include "config/load.h"
#include "unit/config/files.h"

#include <gtest/gtest.h>

#include <string>

namespace rproxy::config::testing {
namespace {

struct Case {
    const char* name;
    const char* text;
    const char* issues;
};

class IssueOf : public ::testing::TestWithParam<Case> {};

TEST_P(IssueOf, NamesPlaceCauseAndRemedy) {
    EXPECT_EQ(issues_of(GetParam().text), GetParam().issues);
}

INSTANTIATE_TEST_SUITE_P(
    Keys, IssueOf,
    ::testing::Values(
        Case{"Misspelt", "backends: []\nretry: {limmit: 1}",
             "f:2:9: retry.limmit: unknown key, did you mean 'limit'?\n"},
        Case{"OfAnotherProxy", "servers: [a:1]",
             "f:1:1: servers: unknown key, did you mean 'backends'?\n"
             "f:1:1: neither 'backends' nor 'pools' is given, for example backends: "
             "[10.0.0.1:8080]\n"},
        Case{"OfAnotherSection", "backends: []\nexpect_status: 200",
             "f:2:1: expect_status: unknown key, it belongs to pools.NAME.health_check."
             "expect_status\n"},
        Case{"OfNoSection", "backends: []\ndrain: {colour: red}",
             "f:2:9: drain.colour: unknown key, allowed here: accept_grace or timeout\n"},
        Case{"PoolTimeoutAtTheTop", "backends: []\ntimeouts: {connect: 1s}",
             "f:2:12: timeouts.connect: unknown key, it belongs to pools.NAME.timeouts.connect\n"},
        Case{"TlsAtTheTop", "backends: []\ntls: {}",
             "f:2:1: tls: unknown key, towards clients it belongs to listeners[], towards backends "
             "to pools.NAME\n"},
        Case{"OnReadAsBoolean", "backends: []\nretry: {\"true\": [reset]}",
             "f:2:9: retry.true: unknown key, a tool read a bare 'on' as a boolean: write the key "
             "in quotes, \"on\"\n"},
        Case{"WithoutValue",
             "backends:", "f:1:1: backends: the key has no value, give one, or [] for none\n"},
        Case{"Duplicate", "backends: []\nmethod: random\nmethod: ip_hash",
             "f:3:1: method: duplicate key, it is given already in line 2\n"},
        Case{"PoolKeyBesidePools", "pools: {a: {backends: []}}\nmethod: random",
             "f:2:1: method: a pool's key beside 'pools', write it as pools.NAME.method\n"},
        Case{"Required", "pools: {a: {method: random}}",
             "f:1:12: pools.a: the key 'backends' is missing, for example backends: "
             "[10.0.0.1:8080, {address: 10.0.0.2:8080, weight: 3}]\n"}),
    [](const auto& each) { return each.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Values, IssueOf,
    ::testing::Values(
        Case{"YesForTrue", "backends: []\nlog: {access: yes}",
             "f:2:15: log.access: 'yes' is not a boolean, write true\n"},
        Case{"OffForFalse", "backends: []\nlog: {access: \"Off\"}",
             "f:2:15: log.access: 'Off' is not a boolean, write false\n"},
        Case{"Octal", "backends: [{address: a:1, weight: 010}]",
             "f:1:35: backends[0].weight: '010' begins with 0, which some tools read as octal, "
             "write 10\n"},
        Case{"Hexadecimal", "backends: [{address: a:1, weight: 0x10}]",
             "f:1:35: backends[0].weight: '0x10' is not a whole number, 0 to 1000\n"},
        Case{"TooLarge", "backends: [{address: a:1, weight: 1001}]",
             "f:1:35: backends[0].weight: '1001' is out of range, 0 to 1000\n"},
        Case{"BeyondEveryInteger", "backends: [{address: a:1, weight: 99999999999999999999}]",
             "f:1:35: backends[0].weight: '99999999999999999999' is out of range, 0 to 1000\n"},
        Case{"Negative", "backends: [{address: a:1, weight: -1}]",
             "f:1:35: backends[0].weight: '-1' is out of range, 0 to 1000\n"},
        Case{"FutureVersion", "version: 2\nbackends: []",
             "f:1:10: version: found '2', the only version there is: 1\n"},
        Case{"DurationWithoutUnit", "backends: []\nslow_start: 5",
             "f:2:13: slow_start: '5' has no unit, write 5s or 5ms\n"},
        Case{"DurationTooLong", "backends: []\nslow_start: 2d",
             "f:2:13: slow_start: '2d' is out of range, 0s to 1d\n"},
        Case{"NoDuration", "backends: []\nslow_start: soon",
             "f:2:13: slow_start: 'soon' is not a duration such as 500ms, 5s or 1m30s\n"},
        Case{"ShareWithoutUnit", "backends: []\nretry: {budget: 20}",
             "f:2:17: retry.budget: '20' has no unit, write 20%\n"},
        Case{"SizeTooSmall", "backends: []\nbuffer_size: 1KiB",
             "f:2:14: buffer_size: '1KiB' is out of range, 4KiB to 16MiB\n"},
        Case{"ListForScalar", "backends: []\nmethod: [random]",
             "f:2:9: method: found a list, expected round_robin, least_connections, random, "
             "ip_hash, "
             "power_of_two, peak_ewma or consistent_hash\n"},
        Case{"ScalarForMap", "backends: []\nretry: 3",
             "f:2:8: retry: found '3', expected a map of keys and values\n"},
        Case{"MethodOfAnotherProxy", "backends: []\nmethod: least_conn",
             "f:2:9: method: unknown value 'least_conn', did you mean 'least_connections'?\n"},
        Case{"MethodOfNobody", "backends: []\nlog: {format: xml}",
             "f:2:15: log.format: unknown value 'xml', one of json or text\n"},
        Case{"HashOnWithoutName", "backends: []\nhash_on: \"header:\"",
             "f:2:10: hash_on: 'header:' lacks the name of a header, write header:NAME\n"},
        Case{"StatusClass", "backends: []\nhealth_check: {expect_status: 2xx}",
             "f:2:31: health_check.expect_status: '2xx' is not a status code or a range of them, "
             "write 200-299\n"},
        Case{"NumberForText", "backends: []\nsticky: {cookie: 12}",
             "f:2:18: sticky.cookie: '12' is a number to YAML tools, for text write it in quotes: "
             "\"12\"\n"},
        Case{
            "NorwayForText", "backends: []\nroutes: [{host: no, pool: default}]",
            "f:2:17: routes[0].host: 'no' is a boolean to YAML tools, for text write it in quotes: "
            "\"no\"\n"},
        Case{
            "Network", "backends: []\ntrusted_proxies: [10.0.0.0/33]",
            "f:2:19: trusted_proxies[0]: '10.0.0.0/33' is not a network, write it as 10.0.0.0/8 or "
            "fd00::/8\n"},
        Case{"Certificates", "backends: []\nlisteners: [{tls: {certificates: []}}]",
             "f:2:34: listeners[0].tls.certificates: an empty list, give at least one\n"}),
    [](const auto& each) { return each.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Addresses, IssueOf,
    ::testing::Values(
        Case{"WithoutPort", "backends: [10.0.0.1]",
             "f:1:12: backends[0]: '10.0.0.1' has no port: host:port, [v6]:port or unix:/path\n"},
        Case{"WithScheme", "backends: [https://a.b:443/x]",
             "f:1:12: backends[0]: 'https://a.b:443/x' is not an address, leave out the scheme: "
             "a.b:443, and set 'tls' for an encrypted connection\n"},
        Case{"WithSpace", "backends:\n- 10.0.0.1: 8080",
             "f:2:3: backends[0]: found the key '10.0.0.1' where an address should be, write the "
             "address without a space: 10.0.0.1:8080\n"},
        Case{
            "SixWithoutQuotes", "backends: [[::1]:80]",
            "f:1:12: backends[0]: a key must be a word, found a list, an address in brackets needs "
            "quotes: \"[::1]:8080\"\n"
            "f:1:12: backends[0]: the key 'address' is missing, for example address: "
            "10.0.0.2:8080\n"},
        Case{"PortOnly", "backends: []\nlisteners: [{address: \":8080\"}]",
             "f:2:23: listeners[0].address: ':8080' is not an address, for all "
             "addresses write 0.0.0.0:8080\n"},
        Case{"ListenOnName", "backends: []\nadmin: {address: localhost:9090}",
             "f:2:18: admin.address: 'localhost:9090' is a name, but only an IP address can be "
             "listened on, write 127.0.0.1:9090\n"},
        Case{"PortZeroOfBackend", "backends: [a:0]",
             "f:1:12: backends[0]: port '0' is not a number from 1 to 65535\n"},
        Case{"HostWithPort", "backends: []\nroutes: [{host: \"a.b:80\", pool: default}]",
             "f:2:17: routes[0].host: 'a.b:80' is not a host name or IP address without a port, "
             "leave out the port: a.b\n"}),
    [](const auto& each) { return each.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Relations, IssueOf,
    ::testing::Values(
        Case{
            "BackendTwice", "backends:\n- a:1\n- {address: A:1, weight: 2}",
            "f:3:3: backends[1]: duplicate backend 'a:1', it is in this pool already, in line 2\n"},
        Case{"BackendNameTwice", "backends:\n- {address: a:1, name: x}\n- {address: b:1, name: x}",
             "f:3:3: backends[1]: duplicate backend name 'x', names are unique in a pool; it is "
             "taken "
             "in line 2\n"},
        Case{"RouteToNothing",
             "pools: {web: {backends: []}, api: {backends: []}}\nroutes: [{pool: wbe}]",
             "f:2:17: routes[0].pool: there is no pool 'wbe', did you mean 'web'?\n"},
        Case{"SeveralPoolsWithoutRoutes", "pools: {web: {backends: []}, api: {backends: []}}",
             "f:1:1: 2 pools, but no routes, say which requests go where, for example routes: "
             "[{pool: web}]\n"},
        Case{
            "RouteTwice", "backends: []\nroutes:\n- {pool: default}\n- {path: /, pool: default}",
            "f:4:3: routes[1]: duplicate route for any host /, the first one wins always; it is in "
            "line 3\n"},
        Case{"FallbackToNothing", "backends: []\nwhen_all_down: {pool: other}",
             "f:2:23: when_all_down.pool: there is no pool 'other', one of default\n"},
        Case{"FallbackToItself", "backends: []\nwhen_all_down: {pool: default}",
             "f:2:23: when_all_down.pool: the pools replace each other in a circle: default -> "
             "default, let one of them be try_anyway or fail\n"},
        Case{"FallbackCircle",
             "pools:\n  a: {backends: [], when_all_down: {pool: b}}\n"
             "  b: {backends: [], when_all_down: {pool: a}}\nroutes: [{pool: a}]",
             "f:2:43: pools.a.when_all_down.pool: the pools replace each other in a circle: a -> b "
             "-> a, let one of them be try_anyway or fail\n"
             "f:3:43: pools.b.when_all_down.pool: the pools replace each other in a circle: b -> a "
             "-> b, let one of them be try_anyway or fail\n"},
        Case{
            "ListenerNames",
            "backends: []\nlisteners:\n- {address: 0.0.0.0:1}\n- {address: "
            "0.0.0.0:2}",
            "f:4:3: listeners[1]: duplicate listener name 'http' (the default), give each listener "
            "its own 'name'; it is taken in line 3\n"},
        Case{"ListenerAddresses", "backends: []\nlisteners:\n- {name: a}\n- {name: b}",
             "f:4:3: listeners[1]: duplicate listener address '0.0.0.0:8080', it is taken in line "
             "3\n"},
        Case{"CertWithoutKey", "pools: {a: {backends: [], tls: {cert: c}}}",
             "f:1:32: pools.a.tls: 'cert' without 'key', a client certificate needs both\n"},
        Case{"NamelessBackendToVerify", "pools: {a: {backends: [\"unix:/s\"], tls: {}}}",
             "f:1:41: pools.a.tls: a backend at a unix socket has no name that could be verified, "
             "say who it is: server_name: NAME\n"},
        Case{"RedirectBesideTls",
             "backends: []\nlisteners:\n- tls: {certificates: [{cert: c, key: k}]}\n"
             "  https_redirect: {}",
             "f:4:3: listeners[0].https_redirect: a redirect to https beside 'tls', it belongs to "
             "the listener that speaks plain HTTP\n"},
        Case{
            "ClientAuthWithoutAuthorities",
            "backends: []\nlisteners:\n- tls:\n    certificates: [{cert: c, key: k}]\n"
            "    client_auth: optional",
            "f:5:5: listeners[0].tls.client_auth: 'client_auth' without 'client_ca', name the file "
            "of the authorities that sign client certificates\n"},
        Case{"VersionsCrossed",
             "backends: []\nlisteners:\n- tls:\n    certificates: [{cert: c, key: k}]\n"
             "    min_version: \"1.3\"\n    max_version: \"1.2\"",
             "f:5:18: listeners[0].tls.min_version: newer than 'max_version', no version would be "
             "left\n"},
        Case{
            "SubjectInAFieldOfItsOwnMeaning",
            "backends: []\nlisteners:\n- tls:\n    certificates: [{cert: c, key: k}]\n"
            "    client_subject_header: Content_Length",
            "f:5:28: listeners[0].tls.client_subject_header: 'Content_Length' has a meaning of its "
            "own in requests, take a name that nothing else uses, such as X-Client-Subject\n"},
        Case{"PreloadForAWhile",
             "backends: []\nlisteners:\n- tls:\n    certificates: [{cert: c, key: k}]\n"
             "    hsts: {preload: true}",
             "f:5:12: listeners[0].tls.hsts: 'preload' is not accepted by browsers like this, add "
             "include_subdomains: true and a max_age of 365d or more\n"},
        Case{"NoPool", "pools: {}",
             "f:1:8: pools: no pool, give at least one, with its backends\n"}),
    [](const auto& each) { return each.param.name; });

TEST(Issues, AreAllReportedInTheOrderOfTheFile) {
    EXPECT_EQ(
        issues_of("routes: [{pool: nope}]\nmetod: random\nbackends: [a:1, a:1]\n"
                  "log: {level: loud}\n"),
        "f:1:17: routes[0].pool: there is no pool 'nope', one of default\n"
        "f:2:1: metod: unknown key, did you mean 'method'?\n"
        "f:3:17: backends[1]: duplicate backend 'a:1', it is in this pool already, in line 3\n"
        "f:4:14: log.level: unknown value 'loud', one of debug, info, warn or error\n");
}

TEST(Issues, AreCountedBeyondTheFirstThousand) {
    std::string text = "backends:\n";
    for (int i = 0; i < 1500; ++i) {
        text += "- nope" + std::to_string(i) + "\n";
    }
    const auto loaded = load(text);
    ASSERT_FALSE(loaded);
    ASSERT_EQ(loaded.error().size(), kMostIssues + 1);
    EXPECT_EQ(format(loaded.error().back(), "f"), "f: 500 more errors, put these right first");
}

TEST(Issues, ShortenAndEscapeWhatTheyFound) {
    const std::string text = "backends: []\nmethod: \"a\\n" + std::string(100, 'x') + "\"";
    EXPECT_EQ(issues_of(text), "f:2:9: method: unknown value 'a\\n" + std::string(58, 'x') +
                                   "…', one of round_robin, least_connections, random, ip_hash, "
                                   "power_of_two, peak_ewma or consistent_hash\n");
}

}  // namespace
}  // namespace rproxy::config::testing
