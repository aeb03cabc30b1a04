#include "integration/setup.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace rproxy::test {
namespace {

using namespace std::string_literals;

const std::string kLine = "PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\r\n";
const std::string kSignature = "\r\n\r\n\0\r\nQUIT\n"s;
const std::string kBinary = kSignature +
                            "\x21\x11\x00\x11\xc0\x00\x02\x08\x0a\x00\x00\x01\xdc\x04\x01\xbb"s +
                            "\x04\x00\x02xy"s;
const std::string kBinary6 = kSignature + "\x21\x21\x00\x24"s + "\x20\x01\x0d\xb8"s +
                             std::string(11, '\0') + "\x09"s + std::string(16, '\0') +
                             "\xdc\x04\x01\xbb"s;
const std::string kLocal = kSignature + "\x20\x00\x00\x00"s;

std::string yaml(const FakeBackend& backend, const std::string& trusted,
                 const std::string& more = {}) {
    return "listeners: [{name: http, address: \"127.0.0.1:0\", proxy_protocol: true}]\n"
           "trusted_proxies: [" +
           trusted + "]\n" + to(backend) + more;
}

std::optional<double> rejected(const ProxyUnderTest& proxy) {
    return proxy.metric("rproxy_listener_connections_rejected_total",
                        {{"reason", "proxy_protocol"}});
}

TEST(ProxyProtocol, NamesTheClientOfEveryRequestOnTheConnection) {
    const FakeBackend backend;
    const auto proxy = ProxyUnderTest::with_yaml(yaml(backend, "127.0.0.0/8"));
    const std::pair<std::string, std::string> cases[] = {{kLine, "192.0.2.7"},
                                                         {kBinary, "192.0.2.8"},
                                                         {kBinary6, "2001:db8::9"},
                                                         {kLocal, "127.0.0.1"},
                                                         {"PROXY UNKNOWN\r\n", "127.0.0.1"}};
    std::size_t asked = 0;
    for (const auto& [header, client_address] : cases) {
        auto client = proxy.connect();
        client.send(header + get("/") + get("/"));
        for (int i = 0; i < 2; ++i) {
            const auto response = client.response();
            ASSERT_TRUE(response) << client_address;
            EXPECT_EQ(response->status, 200);
            EXPECT_EQ(backend.requests().at(asked++).header("X-Forwarded-For"), client_address);
        }
    }
    EXPECT_EQ(rejected(proxy), 0);
}

TEST(ProxyProtocol, TakesTheHeaderInPieces) {
    const FakeBackend backend;
    const auto proxy = ProxyUnderTest::with_yaml(yaml(backend, "127.0.0.1"));
    const std::string whole = kBinary + get("/");
    auto client = proxy.connect();
    for (const char byte : whole) {
        ASSERT_TRUE(client.send(std::string_view(&byte, 1)));
        client.socket().wait_until_sent();
    }
    const auto response = client.response();
    ASSERT_TRUE(response);
    EXPECT_EQ(backend.requests().at(0).header("X-Forwarded-For"), "192.0.2.8");
}

TEST(ProxyProtocol, TakesAHeaderLargerThanTheBuffer) {
    const FakeBackend backend;
    const auto proxy = ProxyUnderTest::with_yaml(yaml(backend, "127.0.0.1", "buffer_size: 4KiB\n"));
    const std::string header = kSignature + "\x21\x11\xff\xff\xc0\x00\x02\x08\x0a\x00\x00\x01"s +
                               "\xdc\x04\x01\xbb"s + std::string(65535 - 12, '\x04');
    auto client = proxy.connect();
    client.send(header + get("/"));
    const auto response = client.response();
    ASSERT_TRUE(response);
    EXPECT_EQ(backend.requests().at(0).header("X-Forwarded-For"), "192.0.2.8");
}

TEST(ProxyProtocol, DoesNotBelieveTheClientBehindIt) {
    const FakeBackend backend;
    const auto proxy = ProxyUnderTest::with_yaml(yaml(backend, "127.0.0.1"));
    auto client = proxy.connect();
    client.send(kLine + get("/", "X-Forwarded-For: 203.0.113.1\r\n"));
    ASSERT_TRUE(client.response());
    EXPECT_EQ(backend.requests().at(0).header("X-Forwarded-For"), "192.0.2.7");
}

TEST(ProxyProtocol, ClosesWhatComesWithoutItOrWithABadOne) {
    const FakeBackend backend;
    const auto proxy = ProxyUnderTest::with_yaml(yaml(backend, "127.0.0.1"));
    double count = 0;
    for (const std::string& bytes :
         {get("/"), "PROXY TCP4 192.0.2.7\r\n"s + get("/"), kSignature + "\x22\x11\x00\x00"s}) {
        auto client = proxy.connect();
        client.send(bytes);
        EXPECT_TRUE(client.closed_by_peer());
        EXPECT_EQ(client.received(), "") << "not even an answer of ours";
        EXPECT_EQ(rejected(proxy), ++count);
    }
    EXPECT_EQ(backend.request_count(), 0U);
}

TEST(ProxyProtocol, ClosesWhoseHeaderIsLate) {
    const FakeBackend backend;
    const auto proxy =
        ProxyUnderTest::with_yaml(yaml(backend, "127.0.0.1", "timeouts: {client_header: 100ms}\n"));
    auto silent = proxy.connect();
    auto half = proxy.connect();
    half.send(kBinary.substr(0, 14));
    EXPECT_TRUE(silent.closed_by_peer());
    EXPECT_TRUE(half.closed_by_peer());
    EXPECT_TRUE(wait_until([&] { return rejected(proxy) == 2; }));
}

TEST(ProxyProtocol, LeavesABalancersTcpCheckAlone) {
    const FakeBackend backend;
    const auto proxy = ProxyUnderTest::with_yaml(yaml(backend, "127.0.0.1"));
    proxy.connect().close();
    auto half = proxy.connect();
    half.send("PROXY TC");
    half.close();
    EXPECT_TRUE(
        wait_until([&] { return proxy.metric("rproxy_listener_connections_active") == 0; }));
    EXPECT_EQ(rejected(proxy), 1) << "the one that broke off, and not the one that said nothing";
}

TEST(ProxyProtocol, ServesAnUntrustedPeerAsAClientAndRefusesItsHeader) {
    const FakeBackend backend;
    const auto proxy = ProxyUnderTest::with_yaml(yaml(backend, "10.0.0.0/8"));
    EXPECT_EQ(proxy.get().body, "ok");
    EXPECT_EQ(backend.requests().at(0).header("X-Forwarded-For"), "127.0.0.1");
    for (const auto& header : {kLine, kBinary}) {
        auto client = proxy.connect();
        client.send(header + get("/"));
        const auto response = client.response();
        ASSERT_TRUE(response);
        EXPECT_EQ(response->status, 400);
        EXPECT_EQ(response->reason(), "bad_request");
    }
    EXPECT_EQ(backend.request_count(), 1U);
    EXPECT_EQ(rejected(proxy), 0);
}

TEST(ProxyProtocol, IsTurnedOnAndOffByAReload) {
    const FakeBackend backend;
    auto proxy = ProxyUnderTest::with_yaml(
        "listeners: [{name: http, address: \"127.0.0.1:0\"}]\ntrusted_proxies: [127.0.0.1]\n" +
        to(backend));
    auto open = proxy.connect();
    EXPECT_TRUE(open.exchange(get("/")));
    proxy.reload(yaml(backend, "127.0.0.1"));
    EXPECT_TRUE(open.exchange(get("/"))) << "a connection goes on as it began";
    auto client = proxy.connect();
    client.send(kLine + get("/"));
    ASSERT_TRUE(client.response());
    EXPECT_EQ(backend.requests().at(2).header("X-Forwarded-For"), "192.0.2.7");
}

}  // namespace
}  // namespace rproxy::test
