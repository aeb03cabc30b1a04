#include "integration/setup.h"

#include <gtest/gtest.h>

#include <string>

namespace rproxy::test {
namespace {

/// The head without the lines whose value differs each time.
std::string fixed_part(const std::string& head) {
    std::string result;
    for (std::size_t at = 0; at < head.size();) {
        const auto end = head.find("\r\n", at) + 2;
        const auto line = head.substr(at, end - at);
        if (!line.starts_with("X-Request-Id:") && !line.starts_with("Traceparent:")) {
            result += line;
        }
        at = end;
    }
    return result;
}

TEST(Headers, OfARequestReachTheBackendEdited) {
    FakeBackend backend;
    const auto proxy = ProxyUnderTest::with_yaml(to(backend));
    auto client = proxy.connect();
    const auto response = client.exchange(
        "GET /a%20b?q=1&r=%2F HTTP/1.1\r\n"
        "hOsT: Example.com:8080\r\n"
        "Accept:  text/html \r\n"
        "Connection: keep-alive, X-Secret\r\n"
        "X-Secret: for the first hop\r\n"
        "Keep-Alive: timeout=5\r\n"
        "Proxy-Connection: keep-alive\r\n"
        "TE: trailers\r\n"
        "X-Forwarded-For: 1.2.3.4\r\n"
        "X-Forwarded-Proto: https\r\n"
        "Forwarded: for=1.2.3.4\r\n"
        "X-Rproxy-Reason: forged\r\n"
        "Cookie: a=1\r\n"
        "Cookie: b=2\r\n"
        "\r\n");
    ASSERT_TRUE(response);
    const auto request = backend.requests().at(0);
    EXPECT_EQ(fixed_part(request.head),
              "GET /a%20b?q=1&r=%2F HTTP/1.1\r\n"
              "Host: Example.com:8080\r\n"
              "Accept: text/html\r\n"
              "Cookie: a=1\r\n"
              "Cookie: b=2\r\n"
              "X-Forwarded-For: 127.0.0.1\r\n"
              "X-Forwarded-Proto: http\r\n"
              "X-Forwarded-Host: Example.com:8080\r\n"
              "X-Forwarded-Port: " +
                  std::to_string(proxy.port()) +
                  "\r\n"
                  "\r\n");
    EXPECT_EQ(count_fields(request.head, "X-Request-Id"), 1U);
    EXPECT_EQ(request.header("Traceparent").value_or("").size(), 55U);
}

TEST(Headers, OfATrustedProxyInFrontAreExtended) {
    FakeBackend backend;
    const auto proxy = ProxyUnderTest::with_yaml(to(backend) + "trusted_proxies: [127.0.0.0/8]\n");
    auto client = proxy.connect();
    ASSERT_TRUE(client.exchange(get("/",
                                    "X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\n"
                                    "X-Forwarded-Host: shop.example\r\nX-Forwarded-Port: 443\r\n"
                                    "X-Request-Id: abc-123\r\n")));
    const auto request = backend.requests().at(0);
    EXPECT_EQ(request.header("X-Forwarded-For"), "203.0.113.7, 127.0.0.1");
    EXPECT_EQ(request.header("X-Forwarded-Proto"), "https");
    EXPECT_EQ(request.header("X-Forwarded-Host"), "shop.example");
    EXPECT_EQ(request.header("X-Forwarded-Port"), "443");
    EXPECT_EQ(request.header("X-Request-Id"), "abc-123");
}

TEST(Headers, OfAResponseLoseWhatIsNotForTheClient) {
    FakeBackend backend;
    backend.otherwise(respond(200,
                              {{"Server", "secret/1.0"},
                               {"X-Powered-By", "steam"},
                               {"Connection", "X-Internal"},
                               {"X-Internal", "1"},
                               {"Keep-Alive", "timeout=5"},
                               {"X-Rproxy-Reason", "forged"},
                               {"Set-Cookie", "a=1"},
                               {"Set-Cookie", "b=2"}},
                              "body"));
    const auto proxy = ProxyUnderTest::with_yaml(to(backend));
    EXPECT_EQ(proxy.get().head,
              "HTTP/1.1 200 Scripted\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n"
              "Content-Length: 4\r\n\r\n");
}

TEST(Headers, LocationThatNamesTheBackendIsRewritten) {
    FakeBackend backend;
    backend.on("/own", respond(302, {{"Location", "http://" + backend.address() + "/next?a=1"}}));
    backend.on("/else", respond(302, {{"Location", "https://elsewhere.example/next"}}));
    const auto proxy = ProxyUnderTest::with_yaml(to(backend));
    EXPECT_EQ(proxy.get("/own").header("Location"), "http://test/next?a=1");
    EXPECT_EQ(proxy.get("/else").header("Location"), "https://elsewhere.example/next");
}

}  // namespace
}  // namespace rproxy::test
