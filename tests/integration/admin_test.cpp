// The admin port's manners: compression, the live log level, who may change what.

#include "integration/setup.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace rproxy::test {
namespace {

using Json = nlohmann::json;

RawClient::Response ask(const ProxyUnderTest& proxy, const std::string& method,
                        const std::string& target, const std::string& fields = {}) {
    RawClient client(proxy.admin_port());
    const auto response =
        client.exchange(method + " " + target + " HTTP/1.1\r\nHost: localhost\r\n" +
                        "Connection: close\r\n" + fields + "\r\n");
    return response.value_or(RawClient::Response{});
}

class Admin : public testing::Test {
protected:
    FakeBackend backend_;
    ProxyUnderTest proxy_{ProxyUnderTest::with_yaml(to(backend_))};
};

TEST_F(Admin, CompressesForWhoTakesIt) {
    for (const std::string target : {"/metrics", "/api/v1/config", "/main.js", "/"}) {
        const auto plain = ask(proxy_, "GET", target);
        EXPECT_EQ(plain.status, 200) << target;
        EXPECT_EQ(plain.header("Content-Encoding"), std::nullopt) << target;
        EXPECT_EQ(plain.header("Vary"), "Accept-Encoding") << target;
        const auto packed = ask(proxy_, "GET", target, "Accept-Encoding: br, gzip;q=0.5\r\n");
        EXPECT_EQ(packed.header("Vary"), "Accept-Encoding") << target;
        EXPECT_EQ(packed.header("Content-Type"), plain.header("Content-Type")) << target;
        if (plain.body.size() >= 1024) {
            EXPECT_EQ(packed.header("Content-Encoding"), "gzip") << target;
            EXPECT_EQ(packed.body.substr(0, 2), "\x1f\x8b") << target;
            EXPECT_LT(packed.body.size(), plain.body.size()) << target;
        }
        for (const std::string refusing : {"gzip;q=0", "br", "identity"}) {
            const auto response =
                ask(proxy_, "GET", target, "Accept-Encoding: " + refusing + "\r\n");
            EXPECT_EQ(response.header("Content-Encoding"), std::nullopt) << target << refusing;
        }
    }
}

TEST_F(Admin, ShowsAndChangesTheLogLevelUntilTheNextConfiguration) {
    const auto level = [&] { return proxy_.admin().json("/api/v1/log"); };
    const Json configured{{"level", "error"}, {"configured", "error"}};  // the flag's
    EXPECT_EQ(level(), configured);
    EXPECT_EQ(ask(proxy_, "POST", "/api/v1/log?level=debug").status, 200);
    EXPECT_EQ(level(), Json::parse(R"({"level": "debug", "configured": "error"})"));
    EXPECT_EQ(ask(proxy_, "POST", "/api/v1/log?level=default").status, 200);
    EXPECT_EQ(level(), configured);
    EXPECT_EQ(ask(proxy_, "POST", "/api/v1/log?level=warn").status, 200);
    proxy_.reload(to(backend_) + "log: {access: false, access_only_failures: true}\n");
    EXPECT_EQ(level(), configured);
}

TEST_F(Admin, RefusesALevelThatThereIsNot) {
    const auto response = ask(proxy_, "POST", "/api/v1/log?level=loud");
    EXPECT_EQ(response.status, 400);
    EXPECT_EQ(Json::parse(response.body)["error"],
              "level: 'loud' is none of debug, info, warn, error, default");
    EXPECT_EQ(ask(proxy_, "POST", "/api/v1/log").status, 400);
}

TEST_F(Admin, TakesNoChangeFromAnotherSitesPage) {
    for (const std::string target : {"/api/v1/drain", "/api/v1/log?level=debug"}) {
        EXPECT_EQ(ask(proxy_, "POST", target, "Origin: http://evil.example\r\n").status, 403);
        EXPECT_EQ(ask(proxy_, "POST", target, "Origin: null\r\n").status, 403);
        RawClient rebound(proxy_.admin_port());
        const auto response = rebound.exchange("POST " + target +
                                               " HTTP/1.1\r\nHost: evil.example\r\n"
                                               "Connection: close\r\n\r\n");
        ASSERT_TRUE(response);
        EXPECT_EQ(response->status, 403) << target;
        EXPECT_EQ(
            ask(proxy_, "POST", target, "Authorization: Bearer guess\r\nOrigin: null\r\n").status,
            403);
    }
    EXPECT_EQ(proxy_.admin().json("/api/v1/log")["level"], "error");
    EXPECT_FALSE(proxy_.admin().json("/api/v1/status")["draining"]);
}

TEST_F(Admin, SendsItsPagesWithAStrictPolicy) {
    const auto page = ask(proxy_, "GET", "/");
    const auto policy = page.header("Content-Security-Policy").value_or("");
    EXPECT_TRUE(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"));
    EXPECT_EQ(policy.find("unsafe"), std::string::npos);
    EXPECT_NE(policy.find("frame-ancestors 'none'"), std::string::npos);
    EXPECT_EQ(page.header("X-Content-Type-Options"), "nosniff");
    EXPECT_EQ(page.header("Referrer-Policy"), "no-referrer");
    EXPECT_EQ(page.body.find("<script>"), std::string::npos);
    EXPECT_EQ(page.body.find("style=\""), std::string::npos);
}

}  // namespace
}  // namespace rproxy::test
