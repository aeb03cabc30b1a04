#include "conformance/rows.h"
#include "support/socket.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <chrono>
#include <string>
#include <vector>

// What a backend may answer and what the client gets of it, byte for byte. The names are those of
// the rows in docs/http-conformance.md.

namespace rproxy::test {

namespace {

const std::string kGet = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
const std::string kLength = "Content-Length: 2\r\n";

struct Row {
    std::string name;
    std::string answered;  ///< By the backend.
    std::string got;       ///< By the client; not used where it gets a 502.
};

std::string ok_with(const std::string& fields, const std::string& body = "ok") {
    return "HTTP/1.1 200 OK\r\n" + fields + "\r\n" + body;
}

std::vector<Row> bad_answers() {
    const std::string chunked = "Transfer-Encoding: chunked\r\n";
    return {
        {"response-length-and-encoding", ok_with(kLength + chunked, "2\r\nok\r\n0\r\n\r\n"), {}},
        {"response-length", ok_with(kLength + kLength), {}},
        {"response-length", ok_with("Content-Length: +2\r\n"), {}},
        {"response-length", ok_with("Content-Length: 2, 2\r\n"), {}},
        {"response-encoding", ok_with("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), {}},
        {"response-encoding", "HTTP/1.0 200 OK\r\n" + chunked + "\r\n0\r\n\r\n", {}},
        {"response-status", "HTTP/1.1 2000 OK\r\n" + kLength + "\r\nok", {}},
        {"response-status", "HTTP/1.1 099 OK\r\n" + kLength + "\r\nok", {}},
        {"response-status", "HTTP/1.1 600 OK\r\n" + kLength + "\r\nok", {}},
        {"response-status", "HTTP/1.1 200\r\n" + kLength + "\r\nok", {}},
        {"response-status", "HTTP/2.0 200 OK\r\n" + kLength + "\r\nok", {}},
        {"response-not-http", "SSH-2.0-x\r\n\r\n", {}},
        {"response-line-ends", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", {}},
        {"response-line-ends", ok_with("X-A: 1\rX-B: 2\r\n" + kLength), {}},
        {"response-fold", ok_with("X-A: 1\r\n 2\r\n" + kLength), {}},
        {"response-101-unasked",
         "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
         {}},
        {"response-chunk", ok_with(chunked, "zz\r\nok\r\n0\r\n\r\n"), {}},
        {"response-chunk", ok_with(chunked, "2\r\nok\r\nzz\r\n"), {}},
    };
}

std::vector<Row> good_answers() {
    const std::string ok = ok_with(kLength);
    return {
        {"response-plain", ok, ok},
        {"response-no-phrase", "HTTP/1.1 200 \r\n" + kLength + "\r\nok",
         "HTTP/1.1 200 \r\n" + kLength + "\r\nok"},
        {"response-http-1.0", "HTTP/1.0 200 OK\r\n" + kLength + "\r\nok", ok},
        {"response-extra", ok + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", ok},
        {"response-204-length", "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n",
         "HTTP/1.1 204 No Content\r\n\r\n"},
        {"response-304-length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n",
         "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n"},
        {"response-interim", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok,
         "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok},
        {"response-hop-by-hop",
         ok_with("Connection: x-a\r\nX-A: 1\r\nKeep-Alive: x\r\nProxy-Connection: x\r\n" + kLength),
         ok},
        {"response-identity",
         ok_with("Server: s\r\nX-Powered-By: p\r\nX-Rproxy-Reason: fake\r\n" + kLength), ok},
        {"response-proxy-authenticate", ok_with("Proxy-Authenticate: Basic\r\n" + kLength),
         ok_with("Proxy-Authenticate: Basic\r\n" + kLength)},
        {"response-duplicates", ok_with("Set-Cookie: a\r\nSet-Cookie: b\r\n" + kLength),
         ok_with("Set-Cookie: a\r\nSet-Cookie: b\r\n" + kLength)},
        {"response-chunked",
         ok_with("Transfer-Encoding: chunked\r\n", "2;x\r\nok\r\n0\r\nX-T: 1\r\nHost: x\r\n\r\n"),
         ok_with("Transfer-Encoding: chunked\r\n", "2\r\nok\r\n0\r\nX-T: 1\r\n\r\n")},
    };
}

}  // namespace

TEST(BadResponses, BecomeOneAnswer502) {
    for (const Row& row : bad_answers()) {
        SCOPED_TRACE(row.name + ": " + row.answered);
        FakeBackend backend;
        backend.otherwise(raw(row.answered));
        const auto proxy = ProxyUnderTest::with_yaml(in_front_of(backend));
        RawClient client = proxy.connect();
        const auto answer = client.exchange(kGet);
        ASSERT_TRUE(answer) << client.received();
        EXPECT_EQ(answer->status, 502);
        EXPECT_EQ(answer->reason(), "backend_bad_response");
        EXPECT_EQ(client.received(), "");
    }
}

TEST(GoodResponses, AreWrittenAnew) {
    for (const Row& row : good_answers()) {
        SCOPED_TRACE(row.name + ": " + row.answered);
        FakeBackend backend;
        backend.otherwise(raw(row.answered));
        const auto proxy = ProxyUnderTest::with_yaml(in_front_of(backend));
        RawClient client = proxy.connect();
        client.send(kGet);
        EXPECT_EQ(client.read_at_least(row.got.size()), row.got);
        EXPECT_EQ(client.received(), "");
    }
}

// row: response-until-close
TEST(GoodResponses, ThatEndByClosingAreChunkedForTheClient) {
    FakeBackend backend;
    auto reply = raw("HTTP/1.1 200 OK\r\n\r\nabc");
    reply.close_after = true;
    backend.otherwise(reply);
    const auto proxy = ProxyUnderTest::with_yaml(in_front_of(backend));
    RawClient client = proxy.connect();
    const auto answer = client.exchange(kGet);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->header("Transfer-Encoding"), "chunked");
    EXPECT_EQ(answer->body, "abc");
}

// row: response-to-half-closed
TEST(GoodResponses, GoOnForAHalfClosedClientThatReads) {
    const Socket listener = Socket::listen_tcp(0);
    const auto proxy = ProxyUnderTest::with_yaml(
        "backends: [\"127.0.0.1:" + std::to_string(listener.local_port()) +
        "\"]\nhealth_check: {interval: 1h, fall: 100}\n");
    RawClient client = proxy.connect();
    client.send(kGet);
    client.shutdown_write();
    Socket backend;
    std::string request;
    do {  // the first connection is the check's
        backend = Socket(::accept(listener.fd(), nullptr, nullptr));
    } while (backend.receive(request, RawClient::kPatience) != Socket::Got::Bytes);
    backend.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");

    // Longer than the grace of a client that reads nothing.
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds{1500};
    std::string got;
    while (std::chrono::steady_clock::now() < end) {
        ASSERT_TRUE(backend.send("1\r\nx\r\n"));
        const std::string piece = client.read_at_least(1);
        ASSERT_NE(piece, "") << "cut off after " << got.size() << " bytes";
        got += piece;
    }
    backend.send("0\r\n\r\n");
    got += client.read_until_close().value_or("(still open)");

    EXPECT_TRUE(got.ends_with("0\r\n\r\n"));
}

// row: response-broken
TEST(BadResponses, ThatBreakOffLaterNeverLookComplete) {
    FakeBackend backend;
    const std::string part(100'000, 'x');
    backend.otherwise(raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n186a0\r\n" + part +
                          "\r\nzz\r\n"));
    const auto proxy = ProxyUnderTest::with_yaml(in_front_of(backend));
    RawClient client = proxy.connect();
    client.send(kGet);
    const auto all = client.read_until_close();
    ASSERT_TRUE(all);
    EXPECT_TRUE(all->starts_with("HTTP/1.1 200 OK\r\n"));
    EXPECT_FALSE(all->ends_with("0\r\n\r\n"));
    EXPECT_EQ(all->find("HTTP/1.1 502"), std::string::npos);
}

}  // namespace rproxy::test
