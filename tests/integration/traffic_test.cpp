#include "integration/setup.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <string>
#include <thread>

namespace rproxy::test {
namespace {

TEST(Traffic, KeepsConnectionsOnBothSides) {
    FakeBackend backend;
    const auto proxy = ProxyUnderTest::with_yaml(to(backend));
    auto client = proxy.connect();
    for (int i = 0; i < 10; ++i) {
        const auto response = client.exchange(get("/a"));
        ASSERT_TRUE(response);
        EXPECT_EQ(response->status, 200);
        EXPECT_EQ(response->body, "ok");
    }
    EXPECT_EQ(backend.request_count(), 10U);
    EXPECT_EQ(connections_of(backend).size(), 1U);
    EXPECT_EQ(proxy.metric("rproxy_listener_connections_total"), 1);
    EXPECT_EQ(proxy.metric("rproxy_backend_connections_total"), 1);
    EXPECT_EQ(proxy.metric("rproxy_backend_connection_reuses_total"), 9);
}

TEST(Traffic, AnswersPipelinedRequestsInOrder) {
    FakeBackend backend;
    backend.on("/1", respond(200, {}, "one"));
    backend.on("/2", chunked({"t", "wo"}));
    backend.on("/3", respond(404, {}, "three"));
    const auto proxy = ProxyUnderTest::with_yaml(to(backend));
    auto client = proxy.connect();
    client.send(get("/1") + post("/2", "body of two") + get("/3"));
    for (const std::string expected : {"one", "two", "three"}) {
        const auto response = client.response();
        ASSERT_TRUE(response) << expected;
        EXPECT_EQ(response->body, expected);
    }
    EXPECT_EQ(backend.requests().at(1).body, "body of two");
}

TEST(Traffic, TakesARequestByteByByteBehindAnEmptyLine) {
    FakeBackend backend;
    const auto proxy = ProxyUnderTest::with_yaml(to(backend));
    auto client = proxy.connect();
    for (const char byte : "\r\n" + post("/", "body")) {
        client.send(std::string(1, byte));
    }
    const auto response = client.response();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->status, 200);
    EXPECT_EQ(backend.requests().at(0).body, "body");
}

TEST(Traffic, SendsNoBodyWhereThereIsNone) {
    FakeBackend backend;
    backend.on("/head", respond(200, {{"Content-Length", "1000"}}));
    backend.on("/204", respond(204));
    backend.on("/304", respond(304, {{"Content-Length", "77"}}));
    const auto proxy = ProxyUnderTest::with_yaml(to(backend));
    auto client = proxy.connect();
    client.send("HEAD /head HTTP/1.1\r\nHost: test\r\n\r\n" + get("/204") + get("/304") + get("/"));
    const auto head = client.response(RawClient::To::Head);
    ASSERT_TRUE(head);
    EXPECT_EQ(head->header("Content-Length"), "1000");
    const auto no_content = client.response();
    ASSERT_TRUE(no_content);
    EXPECT_EQ(no_content->status, 204);
    EXPECT_FALSE(no_content->header("Content-Length"));
    const auto not_modified = client.response();
    ASSERT_TRUE(not_modified);
    EXPECT_EQ(not_modified->status, 304);
    EXPECT_EQ(not_modified->header("Content-Length"), "77");
    const auto last = client.response();
    ASSERT_TRUE(last) << "the connection was not left in step";
    EXPECT_EQ(last->body, "ok");
    EXPECT_EQ(connections_of(backend).size(), 1U);
}

TEST(Traffic, ServesHttp10Clients) {
    FakeBackend backend;
    backend.on("/length", respond(200, {}, "with a length"));
    backend.on("/chunked", chunked({"in ", "chunks"}));
    const auto proxy = ProxyUnderTest::with_yaml(to(backend));

    auto closing = proxy.connect();
    const auto plain = closing.exchange("GET /length HTTP/1.0\r\nHost: test\r\n\r\n");
    ASSERT_TRUE(plain);
    EXPECT_EQ(plain->body, "with a length");
    EXPECT_TRUE(closing.closed_by_peer());

    auto keeping = proxy.connect();
    keeping.send("GET /length HTTP/1.0\r\nHost: test\r\nConnection: keep-alive\r\n\r\n");
    const auto kept = keeping.response();
    ASSERT_TRUE(kept);
    EXPECT_EQ(kept->header("Connection"), "keep-alive");

    keeping.send("GET /chunked HTTP/1.0\r\nHost: test\r\nConnection: keep-alive\r\n\r\n");
    const auto until_close = keeping.response();
    ASSERT_TRUE(until_close);
    EXPECT_FALSE(until_close->header("Transfer-Encoding"));
    EXPECT_EQ(until_close->body, "in chunks");
    EXPECT_TRUE(keeping.closed_by_peer());
    EXPECT_FALSE(keeping.was_reset());
}

TEST(Traffic, FramesWhatABackendEndsByClosing) {
    FakeBackend backend;
    auto reply = respond(200, {}, pattern(100'000));
    reply.until_close = true;
    backend.on("/until-close", reply);
    const auto proxy = ProxyUnderTest::with_yaml(to(backend));
    auto client = proxy.connect();
    const auto response = client.exchange(get("/until-close"));
    ASSERT_TRUE(response);
    EXPECT_EQ(response->header("Transfer-Encoding"), "chunked");
    EXPECT_EQ(response->body, pattern(100'000));
    const auto next = client.exchange(get("/"));
    ASSERT_TRUE(next) << "the client's connection need not end with the backend's";
    EXPECT_EQ(next->body, "ok");
}

TEST(Traffic, PassesExpectContinueAndInterimResponses) {
    FakeBackend backend;
    auto reply = respond(201, {}, "made");
    reply.interim =
        "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n";
    reply.before_body = true;
    backend.on("/upload", reply);
    const auto proxy = ProxyUnderTest::with_yaml(to(backend));
    auto client = proxy.connect();
    client.send(
        "POST /upload HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    const auto hints = client.response();
    ASSERT_TRUE(hints);
    EXPECT_EQ(hints->status, 103);
    EXPECT_EQ(hints->header("Link"), "</style.css>");
    const auto go_on = client.response();
    ASSERT_TRUE(go_on);
    EXPECT_EQ(go_on->status, 100);
    client.send("body");
    const auto response = client.response();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->status, 201);
    ASSERT_TRUE(backend.wait_for_requests(1));
    EXPECT_EQ(backend.requests()[0].header("Expect"), "100-continue");
}

TEST(Traffic, DropsInterimResponsesForHttp10) {
    FakeBackend backend;
    auto reply = respond(200, {}, "final");
    reply.interim = "HTTP/1.1 103 Early Hints\r\n\r\n";
    backend.otherwise(reply);
    const auto proxy = ProxyUnderTest::with_yaml(to(backend));
    auto client = proxy.connect();
    const auto response = client.exchange("GET / HTTP/1.0\r\nHost: test\r\n\r\n");
    ASSERT_TRUE(response);
    EXPECT_EQ(response->status, 200);
    EXPECT_EQ(response->body, "final");
}

TEST(Traffic, PassesTrailersBothWays) {
    FakeBackend backend;
    backend.otherwise(chunked({"abc", "def"}, {{"X-Checksum", "17"}}));
    const auto proxy = ProxyUnderTest::with_yaml(to(backend));
    auto client = proxy.connect();
    client.send(
        "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\nTrailer: "
        "X-Signature\r\n\r\n" +
        chunked_text("request body", "X-Signature: 42\r\n"));
    const auto response = client.response();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->body, "abcdef");
    EXPECT_EQ(response->trailers, "X-Checksum: 17\r\n");
    EXPECT_EQ(backend.requests().at(0).body, "request body");
    EXPECT_EQ(backend.requests().at(0).trailers, "X-Signature: 42\r\n");
}

TEST(Traffic, TunnelsAnUpgradeWithHalfClose) {
    FakeBackend backend;
    backend.otherwise(upgrade("echo"));
    const auto proxy = ProxyUnderTest::with_yaml(to(backend));
    auto client = proxy.connect();
    // The first bytes of the tunnel come with the head, as eager clients send them.
    client.send(get("/", "Connection: Upgrade\r\nUpgrade: echo\r\n") + "early ");
    const auto switching = client.response();
    ASSERT_TRUE(switching);
    EXPECT_EQ(switching->status, 101);
    EXPECT_EQ(switching->header("Upgrade"), "echo");
    EXPECT_EQ(client.read_at_least(6), "early ");
    EXPECT_EQ(proxy.metric("rproxy_upgraded_connections_active"), 1);

    const std::string payload = pattern(300'000);
    std::thread writer([&] {
        client.socket().send(payload);
        client.shutdown_write();
    });
    const auto echoed = client.read_until_close();
    writer.join();
    ASSERT_TRUE(echoed);
    EXPECT_EQ(*echoed, payload) << "what was under way when the client closed its side is lost";
    EXPECT_FALSE(client.was_reset());
    EXPECT_TRUE(
        wait_until([&] { return proxy.metric("rproxy_upgraded_connections_active") == 0; }));
    EXPECT_EQ(backend.requests().at(0).header("Connection"), "upgrade");
}

TEST(Traffic, ListensOnAndConnectsToUnixSockets) {
    const TempDir dir;
    FakeBackend web;
    // Two proxies in a row: the second's listener is the first's backend.
    const std::string address = "unix:" + (dir / "web.sock");
    const auto inner = ProxyUnderTest::with_yaml("listeners: [{name: http, address: \"" + address +
                                                 "\"}]\n" + to(web));
    const auto outer = ProxyUnderTest::with_yaml("backends: [\"" + address + "\"]\n");
    EXPECT_EQ(outer.get().body, "ok");
    auto client = RawClient::to_unix(dir / "web.sock");
    for (int i = 0; i < 3; ++i) {
        const auto response = client.exchange(get("/"));
        ASSERT_TRUE(response);
        EXPECT_EQ(response->body, "ok");
    }
}

bool has_ipv6_loopback() {
    const int fd = ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const Socket socket(fd);
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_addr = in6addr_loopback;
    return fd >= 0 &&
           ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;  // NOLINT
}

TEST(Traffic, ListensOnIpv6) {
    if (!has_ipv6_loopback()) {
        GTEST_SKIP() << "this host has no ::1";
    }
    FakeBackend web;
    const auto proxy =
        ProxyUnderTest::with_yaml("listeners: [{name: http, address: \"[::1]:0\"}]\n" + to(web));
    RawClient client(Socket::connect_tcp("::1", proxy.port()));
    const auto response = client.exchange(get("/"));
    ASSERT_TRUE(response);
    EXPECT_EQ(response->body, "ok");
    EXPECT_EQ(web.requests().at(0).header("X-Forwarded-For"), "::1");
}

}  // namespace
}  // namespace rproxy::test
