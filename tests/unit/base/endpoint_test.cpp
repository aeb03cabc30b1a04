#include "base/endpoint.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rproxy {
namespace {

using namespace std::string_view_literals;

TEST(Endpoint, PrintsWhatItReadInCanonicalForm) {
    const std::vector<std::pair<std::string_view, std::string_view>> cases{
        {"10.0.0.1:8080", "10.0.0.1:8080"},
        {"[2001:DB8:0:0::1]:80", "[2001:db8::1]:80"},
        {"[::1]:65535", "[::1]:65535"},
        {"Web.Default.SVC:1", "web.default.svc:1"},
        {"host_with-signs.:80", "host_with-signs.:80"},
        {"unix:/run/app.sock", "unix:/run/app.sock"},
    };
    for (const auto& [text, canonical] : cases) {
        const auto endpoint = Endpoint::parse(text);
        ASSERT_TRUE(endpoint) << text << ": " << endpoint.error();
        EXPECT_EQ(endpoint->to_string(), canonical);
        EXPECT_EQ(Endpoint::parse(canonical), *endpoint);
    }
}

TEST(Endpoint, KnowsAddressesFromNames) {
    EXPECT_EQ(Endpoint::parse("10.0.0.1:80")->ip(), IpAddress::parse("10.0.0.1"));
    EXPECT_EQ(Endpoint::parse("[::1]:80")->ip(), IpAddress::parse("::1"));
    EXPECT_FALSE(Endpoint::parse("localhost:80")->ip());
    EXPECT_FALSE(Endpoint::parse("unix:/a")->ip());
    EXPECT_TRUE(Endpoint::parse("unix:/a")->is_unix());
}

TEST(Endpoint, SaysWhatIsWrong) {
    const std::vector<std::pair<std::string_view, std::string_view>> cases{
        {"", "has no port"},
        {"10.0.0.1", "has no port"},
        {"[::1]", "has no port"},
        {"::1:80", "needs brackets"},
        {"[10.0.0.1]:80", "not an IPv6 address in brackets"},
        {"[::1:80", "not an IPv6 address in brackets"},
        {"[fe80::1%eth0]:80", "not an IPv6 address in brackets"},
        {"10.0.0.256:80", "neither an IP address nor a DNS name"},
        {"1.2.3:80", "neither an IP address nor a DNS name"},
        {":80", "neither an IP address nor a DNS name"},
        {"-a:80", "neither an IP address nor a DNS name"},
        {"a b:80", "neither an IP address nor a DNS name"},
        {"http://a:80", "needs brackets"},
        {"a:", "not a number from 1 to 65535"},
        {"a:0", "not a number from 1 to 65535"},
        {"a:65536", "not a number from 1 to 65535"},
        {"a:+80", "not a number from 1 to 65535"},
        {"a:80x", "not a number from 1 to 65535"},
        {"unix:app.sock", "absolute path"},
        {"unix:", "absolute path"},
    };
    for (const auto& [text, wrong] : cases) {
        const auto endpoint = Endpoint::parse(text);
        ASSERT_FALSE(endpoint) << text;
        EXPECT_NE(endpoint.error().find(wrong), std::string::npos)
            << text << ": " << endpoint.error();
    }
}

TEST(Endpoint, TakesNoAddressThatANulCutsShort) {
    EXPECT_FALSE(Endpoint::parse("10.0.0.1\0:80"sv));
}

TEST(Endpoint, TakesPortZeroOnlyWhereAsked) {
    EXPECT_FALSE(Endpoint::parse("127.0.0.1:0"));
    EXPECT_EQ(Endpoint::parse("127.0.0.1:0", true)->port, 0);
}

TEST(Endpoint, TakesUnixPathsUpToWhatTheKernelTakes) {
    const std::string longest = "/" + std::string(106, 'x');
    EXPECT_TRUE(Endpoint::parse("unix:" + longest));
    EXPECT_FALSE(Endpoint::parse("unix:" + longest + "x"));
}

TEST(IsDnsName, KnowsTheLimitsOfLabelsAndNames) {
    const std::string label(63, 'a');
    EXPECT_TRUE(is_dns_name(label));
    EXPECT_FALSE(is_dns_name(label + "a"));
    const std::string name = label + "." + label + "." + label + "." + std::string(61, 'a');
    EXPECT_EQ(name.size(), 253U);
    EXPECT_TRUE(is_dns_name(name));
    EXPECT_TRUE(is_dns_name(name + "."));
    EXPECT_FALSE(is_dns_name(name + "a"));
    for (const std::string_view bad : {"", ".", "a..b", ".a", "a-", "-a", "a.-b", "ä", "a/b"}) {
        EXPECT_FALSE(is_dns_name(bad)) << bad;
    }
}

}  // namespace
}  // namespace rproxy
