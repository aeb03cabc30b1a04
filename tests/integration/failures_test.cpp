#include "integration/setup.h"

#include <gtest/gtest.h>

#include <string>

namespace rproxy::test {
namespace {

TEST(ClientGone, CancelsTheBackendsRequest) {
    FakeBackend backend;
    backend.otherwise(stall_before_head());
    const auto proxy = ProxyUnderTest::with_yaml(to(backend));
    auto client = proxy.connect();
    client.send(get("/"));
    ASSERT_TRUE(backend.wait_for_requests(1));
    client.reset();
    EXPECT_TRUE(wait_until([&] { return backend.abandoned() == 1; }));
    EXPECT_TRUE(wait_until([&] { return proxy.metric("rproxy_backend_requests_active") == 0; }));
    EXPECT_EQ(proxy.metric("rproxy_pool_requests_total", {{"code", "499"}}), 1);
}

TEST(ClientGone, InTheMidstOfItsBodyCancelsTheBackendsRequest) {
    FakeBackend backend;
    const auto proxy = ProxyUnderTest::with_yaml(to(backend));
    auto client = proxy.connect();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000\r\n\r\nhalf");
    ASSERT_TRUE(wait_until([&] { return proxy.metric("rproxy_backend_requests_active") == 1; }));
    client.close();
    ASSERT_TRUE(backend.wait_for_requests(1));
    EXPECT_FALSE(backend.requests()[0].complete) << "a half request must not look whole";
}

TEST(ClientGone, HalfClosedStillGetsAnAnswerThatIsSoonThere) {
    FakeBackend backend;
    const auto proxy = ProxyUnderTest::with_yaml(to(backend));
    auto client = proxy.connect();
    client.send(get("/"));
    client.shutdown_write();
    const auto response = client.response();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->body, "ok");
}

TEST(BackendBreaks, WithinALengthNeverLooksComplete) {
    FakeBackend backend;
    backend.otherwise(reset_after(3000, respond(200, {}, pattern(10'000))));
    const auto proxy = ProxyUnderTest::with_yaml(to(backend) + kNoChecks);
    auto client = proxy.connect();
    EXPECT_FALSE(client.exchange(get("/")));
    EXPECT_TRUE(client.closed_by_peer() || !client.received().empty());
    EXPECT_EQ(proxy.metric("rproxy_local_responses_total", {{"reason", "backend_reset"}}), 1);
}

TEST(BackendBreaks, WithinChunksNeverLooksComplete) {
    FakeBackend backend;
    auto reply = chunked({pattern(2000), pattern(2000)});
    reply.reset_after = 2500;
    backend.otherwise(reply);
    const auto proxy = ProxyUnderTest::with_yaml(to(backend) + kNoChecks);
    auto client = proxy.connect();
    EXPECT_FALSE(client.exchange(get("/")));
    EXPECT_EQ(client.received().find("\r\n0\r\n"), std::string::npos);
    EXPECT_TRUE(client.read_until_close());
}

TEST(BackendBreaks, WithinChunksResetsAnHttp10Client) {
    FakeBackend backend;
    auto reply = chunked({pattern(2000), pattern(2000)});
    reply.reset_after = 2500;
    backend.otherwise(reply);
    const auto proxy = ProxyUnderTest::with_yaml(to(backend) + kNoChecks);
    auto client = proxy.connect();
    client.send("GET / HTTP/1.0\r\nHost: test\r\n\r\n");
    EXPECT_FALSE(client.response()) << "only a reset tells this client that it is not the end";
    EXPECT_TRUE(client.was_reset());
}

TEST(BackendBreaks, CleanCloseWithinChunksIsNoEndEither) {
    FakeBackend backend;
    auto reply = raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    reply.close_after = true;
    backend.otherwise(reply);
    const auto proxy = ProxyUnderTest::with_yaml(to(backend) + kNoChecks);
    auto client = proxy.connect();
    EXPECT_FALSE(client.exchange(get("/")));
    EXPECT_EQ(proxy.metric("rproxy_backend_response_failures_total", {{"reason", "truncated"}}), 1);
}

TEST(BackendBreaks, BadResponsesBecome502) {
    FakeBackend backend;
    backend.on("/status", raw("HTTP/1.1 2000 OK\r\n\r\n"));
    backend.on("/framing",
               raw("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"));
    backend.on("/garbage", raw("SSH-2.0-OpenSSH_9.2\r\n\r\n"));
    const auto proxy = ProxyUnderTest::with_yaml(to(backend) + kNoChecks);
    auto client = proxy.connect();
    for (const std::string path : {"/status", "/framing", "/garbage"}) {
        const auto response = client.exchange(get(path));
        ASSERT_TRUE(response) << path;
        EXPECT_EQ(response->status, 502) << path;
        EXPECT_EQ(response->reason(), "backend_bad_response") << path;
    }
    EXPECT_EQ(proxy.metric("rproxy_backend_response_failures_total", {{"reason", "protocol"}}), 3);
}

TEST(BackendBreaks, SilenceBecomes504) {
    FakeBackend backend;
    backend.otherwise(stall_before_head());
    const auto proxy = ProxyUnderTest::with_yaml(
        "pools: {web: {" + kNoChecks.substr(0, kNoChecks.size() - 1) +
        ", timeouts: {response: 100ms}, backends: [\"" + backend.address() + "\"]}}\n");
    const auto response = proxy.get();
    EXPECT_EQ(response.status, 504);
    EXPECT_EQ(response.reason(), "backend_timeout");
    EXPECT_TRUE(wait_until([&] { return backend.abandoned() == 1; }));
}

TEST(EarlyResponse, ReachesAClientThatIsStillSending) {
    FakeBackend backend;
    auto reply = respond(413, {}, "too much");
    reply.before_body = true;
    reply.close_after = true;
    backend.otherwise(reply);
    const auto proxy = ProxyUnderTest::with_yaml(to(backend) + kNoChecks);
    auto client = proxy.connect();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 100000000\r\n\r\n" +
                pattern(100'000));
    const auto response = client.response();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->status, 413);
    EXPECT_EQ(response->body, "too much");
}

TEST(EarlyResponse, LeavesTheConnectionInStepWhenTheBodyFollows) {
    FakeBackend backend;
    auto reply = respond(200, {}, "early");
    reply.before_body = true;
    backend.enqueue(reply);
    const auto proxy = ProxyUnderTest::with_yaml(to(backend));
    auto client = proxy.connect();
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nfirst");
    const auto early = client.response();
    ASSERT_TRUE(early);
    EXPECT_EQ(early->body, "early");
    client.send("_half" + get("/next"));
    const auto next = client.response();
    ASSERT_TRUE(next);
    EXPECT_EQ(next->body, "ok");
    EXPECT_EQ(backend.requests().at(0).body, "first_half");
}

/// Bytes of a request, and the answer that rproxy gives by itself.
struct Refusal {
    const char* name;
    std::string request;
    int status;
    const char* reason;
};

class Limits : public testing::TestWithParam<Refusal> {};

TEST_P(Limits, RefuseWithTheirReason) {
    FakeBackend backend;
    const auto proxy = ProxyUnderTest::with_yaml(
        to(backend) +
        "limits: {header_bytes: 4KiB, header_count: 20, request_line: 1KiB, body_bytes: 10KiB}\n"
        "timeouts: {client_header: 200ms, client_body: 200ms}\n");
    auto client = proxy.connect();
    const auto response = client.exchange(GetParam().request);
    ASSERT_TRUE(response);
    EXPECT_EQ(response->status, GetParam().status);
    EXPECT_EQ(response->reason(), GetParam().reason);
    EXPECT_EQ(response->header("Connection"), "close");
    EXPECT_EQ(response->head.find(backend.address()), std::string::npos);
    client.shutdown_write();
    EXPECT_TRUE(client.closed_by_peer());
    for (const auto& request : backend.requests()) {
        EXPECT_FALSE(request.complete) << "a refused request reached a backend as a whole one";
    }
    EXPECT_EQ(proxy.metric("rproxy_local_responses_total", {{"reason", GetParam().reason}}), 1);
}

std::string many_fields(int count) {
    std::string fields;
    for (int i = 0; i < count; ++i) {
        fields += "X-" + std::to_string(i) + ": 1\r\n";
    }
    return fields;
}

INSTANTIATE_TEST_SUITE_P(
    All, Limits,
    testing::Values(
        Refusal{"NoHost", "GET / HTTP/1.1\r\n\r\n", 400, "bad_request"},
        Refusal{"BadLine", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_request"},
        Refusal{"TwoLengths",
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
                400, "bad_request"},
        Refusal{"LengthAndChunks",
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: "
                "chunked\r\n\r\n0\r\n\r\n",
                400, "bad_request"},
        Refusal{"BadChunk",
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400,
                "bad_request"},
        Refusal{"LongLine", get("/" + std::string(2000, 'a')), 414, "uri_too_long"},
        Refusal{"BigHead", get("/", "X-A: " + std::string(5000, 'a') + "\r\n"), 431,
                "headers_too_large"},
        Refusal{"ManyFields", get("/", many_fields(30)), 431, "headers_too_large"},
        Refusal{"BigBody", post("/", std::string(20'000, 'a')), 413, "body_too_large"},
        Refusal{"BigChunkedBody",
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" +
                    chunked_text(std::string(20'000, 'a')),
                413, "body_too_large"},
        Refusal{"HalfHead", "GET / HTTP/1.1\r\nHost: a\r\n", 408, "client_timeout"},
        Refusal{"HalfBody", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf", 408,
                "client_timeout"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(MaxConnections, AnswersQueueFullAtOnceWithoutAQueue) {
    FakeBackend backend;
    backend.enqueue(stall_before_head());
    const auto proxy = ProxyUnderTest::with_yaml("backends: [{address: \"" + backend.address() +
                                                 "\", max_connections: 1}]\n");
    auto first = proxy.connect();
    first.send(get("/"));
    ASSERT_TRUE(backend.wait_for_requests(1));
    const auto second = proxy.get();
    EXPECT_EQ(second.status, 503);
    EXPECT_EQ(second.reason(), "queue_full");
    backend.release();
    EXPECT_TRUE(first.response());
    EXPECT_EQ(proxy.get().status, 200);
}

TEST(MaxConnections, QueuedRequestsGoOnInTheirOrder) {
    FakeBackend backend;
    backend.enqueue(stall_before_head());
    const auto proxy = ProxyUnderTest::with_yaml("backends: [{address: \"" + backend.address() +
                                                     "\", max_connections: 1}]\n"
                                                     "queue: {limit: 2, timeout: 30s}\n",
                                                 {.workers = 1});
    auto first = proxy.connect();
    first.send(get("/first"));
    ASSERT_TRUE(backend.wait_for_requests(1));
    auto second = proxy.connect();
    second.send(get("/second"));
    ASSERT_TRUE(wait_until([&] { return proxy.metric("rproxy_pool_queue_length") == 1; }));
    auto third = proxy.connect();
    third.send(get("/third"));
    ASSERT_TRUE(wait_until([&] { return proxy.metric("rproxy_pool_queue_length") == 2; }));
    EXPECT_EQ(proxy.get().reason(), "queue_full");
    backend.release();
    EXPECT_TRUE(first.response());
    EXPECT_TRUE(second.response());
    EXPECT_TRUE(third.response());
    const auto requests = backend.requests();
    ASSERT_EQ(requests.size(), 3U);
    EXPECT_EQ(requests[1].target, "/second");
    EXPECT_EQ(requests[2].target, "/third");
    EXPECT_EQ(proxy.metric("rproxy_pool_queue_length"), 0);
}

TEST(MaxConnections, ASlotFreedByOneWorkerServesThoseThatWaitOnAnother) {
    FakeBackend backend;
    backend.enqueue(stall_before_head());
    const auto proxy = ProxyUnderTest::with_yaml("backends: [{address: \"" + backend.address() +
                                                     "\", max_connections: 1}]\n"
                                                     "queue: {limit: 100, timeout: 30s}\n",
                                                 {.workers = 2});
    auto first = proxy.connect();
    first.send(get("/first"));
    ASSERT_TRUE(backend.wait_for_requests(1));
    std::vector<RawClient> waiting;  // enough that some are on the other worker
    for (int i = 0; i < 20; ++i) {
        waiting.push_back(proxy.connect());
        waiting.back().send(get("/"));
    }
    ASSERT_TRUE(wait_until([&] { return proxy.metric("rproxy_pool_queue_length") == 20; }));
    backend.release();
    for (auto& client : waiting) {
        const auto response = client.response();
        ASSERT_TRUE(response);
        EXPECT_EQ(response->status, 200);
    }
}

TEST(MaxConnections, WhoWaitsGoesToABackendThatAReloadBrings) {
    FakeBackend full;
    FakeBackend added;
    full.enqueue(stall_before_head());
    const std::string queue = "queue: {limit: 5, timeout: 30s}\n";
    const std::string first_backend =
        "backends:\n  - {address: \"" + full.address() + "\", max_connections: 1}\n";
    auto proxy = ProxyUnderTest::with_yaml(first_backend + queue);
    auto first = proxy.connect();
    first.send(get("/first"));
    ASSERT_TRUE(full.wait_for_requests(1));
    auto waiting = proxy.connect();
    waiting.send(get("/waiting"));
    ASSERT_TRUE(wait_until([&] { return proxy.metric("rproxy_pool_queue_length") == 1; }));
    proxy.reload(first_backend + "  - \"" + added.address() + "\"\n" + queue);
    const auto response = waiting.response();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->status, 200);
    EXPECT_EQ(added.request_count(), 1U);
    EXPECT_EQ(proxy.metric("rproxy_pool_queue_length"), 0);
    full.release();
    EXPECT_TRUE(first.response());
}

TEST(MaxConnections, WaitingEndsAfterItsTime) {
    FakeBackend backend;
    backend.enqueue(stall_before_head());
    const auto proxy = ProxyUnderTest::with_yaml("backends: [{address: \"" + backend.address() +
                                                 "\", max_connections: 1}]\n"
                                                 "queue: {limit: 5, timeout: 50ms}\n");
    auto first = proxy.connect();
    first.send(get("/"));
    ASSERT_TRUE(backend.wait_for_requests(1));
    EXPECT_EQ(proxy.get().reason(), "queue_full");
    EXPECT_EQ(proxy.metric("rproxy_pool_queue_rejections_total", {{"reason", "timeout"}}), 1);
}

TEST(ConnectionLimit, CountsTheConnectionsOfAllWorkers) {
    FakeBackend backend;
    const auto proxy =
        ProxyUnderTest::with_yaml(to(backend) + "limits: {connections: 3}\n", {.workers = 2});
    std::vector<RawClient> clients;
    for (int i = 0; i < 3; ++i) {
        clients.push_back(proxy.connect());
        ASSERT_TRUE(clients.back().exchange(get("/")));
    }
    auto refused = proxy.connect();
    const auto response = refused.response();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->status, 503);
    EXPECT_EQ(response->reason(), "connection_limit");
    EXPECT_EQ(proxy.metric("rproxy_listener_connections_rejected_total", {{"reason", "limit"}}), 1);
    clients.pop_back();
    ASSERT_TRUE(
        wait_until([&] { return proxy.metric("rproxy_listener_connections_active") == 2; }));
    EXPECT_EQ(proxy.get().status, 200);
}

}  // namespace
}  // namespace rproxy::test
