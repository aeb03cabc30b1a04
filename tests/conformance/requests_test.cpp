#include "conformance/rows.h"
#include "support/wait_until.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

// One table for what is refused, one for what is passed on and how. The names are those of the rows
// in docs/http-conformance.md.

namespace rproxy::test {

namespace {

/// Identifiers that a client sends are passed on, which makes what the backend gets foreseeable.
const std::string kIds =
    "X-Request-Id: row\r\n"
    "Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n";
const std::string kHost = "Host: a.example\r\n";
const std::string kChunked = "Transfer-Encoding: chunked\r\n";

struct Refused {
    std::string name;
    std::string sent;
    int status{400};
    std::string reason{"bad_request"};
};

std::string with(const std::string& line, const std::string& fields, const std::string& body = {}) {
    return line + "\r\n" + kHost + fields + "\r\n" + body;
}
std::string get_with(const std::string& fields) {
    return with("GET / HTTP/1.1", fields);
}
std::string post_with(const std::string& fields, const std::string& body) {
    return with("POST / HTTP/1.1", fields, body);
}
std::string target(const std::string& text) {
    return with("GET " + text + " HTTP/1.1", "");
}
std::string host(const std::string& fields) {
    return "GET / HTTP/1.1\r\n" + fields + "\r\n";
}
std::string chunks(const std::string& body) {
    return post_with(kChunked, body);
}

std::vector<Refused> refused_lines() {
    return {
        {"connect", with("CONNECT a.example:443 HTTP/1.1", "")},
        {"asterisk-get", target("*")},
        {"absolute-other-host", target("http://b.example/")},
        {"absolute-other-port", target("http://a.example:80/")},
        {"absolute-other-scheme", target("ftp://a.example/")},
        {"absolute-user", target("http://user@a.example/")},
        {"absolute-without-host", "GET http://a.example/ HTTP/1.1\r\n\r\n"},
        {"fragment", target("/x#y")},
        {"target-utf8", target("/\xc3\xa4")},
        {"target-no-path", target("x")},
        {"target-space", target("/a b")},
        {"target-two-spaces", target(" /")},
        {"target-tab", with("GET\t/ HTTP/1.1", "")},
        {"line-trailing-space", with("GET / HTTP/1.1 ", "")},
        {"http-0.9", "GET /\r\n\r\n"},
        {"http-1.2", with("GET / HTTP/1.2", "")},
        {"http-2-preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
        {"version-case", with("GET / http/1.1", "")},
        {"method-no-token", with("G@T / HTTP/1.1", "")},
        {"leading-lf", "\n" + get_with("")},
    };
}

std::vector<Refused> refused_fields() {
    return {
        {"host-missing", host("")},
        {"host-empty", host("Host:\r\n")},
        {"host-twice", host("Host: a.example\r\nHost: b.example\r\n")},
        {"host-twice", host("Host: a.example\r\nHost: a.example\r\n")},
        {"host-invalid", host("Host: a b\r\n")},
        {"host-invalid", host("Host: a/b\r\n")},
        {"host-invalid", host("Host: user@a\r\n")},
        {"host-invalid", host("Host: a:999999\r\n")},
        {"host-invalid", host("Host: a:80x\r\n")},
        {"host-invalid", host("Host: [::1\r\n")},
        {"obs-fold", get_with("X-A: 1\r\n  2\r\n")},
        {"obs-fold", get_with("X-A:\r\n\t2\r\n")},
        {"obs-fold", host(" Host: a.example\r\n")},
        {"bare-lf", "GET / HTTP/1.1\nHost: a.example\n\n"},
        {"bare-lf", get_with("X-A: 1\nX-B: 2\r\n")},
        {"bare-cr", get_with("X-A: 1\rX-B: 2\r\n")},
        {"bare-cr", get_with("X-A: 1\r\r\n")},
        {"control", get_with(std::string("X-A: 1\0002\r\n", 10))},
        {"control", get_with("X-A: 1\x01\r\n")},
        {"control", get_with("X-A: 1\x7f\r\n")},
        {"space-before-colon", get_with("X-A : 1\r\n")},
        {"space-before-colon", get_with("X-A\t: 1\r\n")},
        {"field-name", get_with(": 1\r\n")},
        {"field-name", get_with("X(A: 1\r\n")},
        {"field-name", get_with("X-A\r\n")},
        {"limit-line", target("/" + std::string(20'000, 'a')), 414, "uri_too_long"},
        {"limit-head", get_with("X-A: " + std::string(70'000, 'a') + "\r\n"), 431,
         "headers_too_large"},
        {"limit-fields",
         [] {
             std::string fields;
             for (int i = 0; i < 129; ++i) {
                 fields += "X-A: 1\r\n";
             }
             return get_with(fields);
         }(),
         431, "headers_too_large"},
    };
}

std::vector<Refused> refused_framing() {
    const std::string last = "0\r\n\r\n";
    return {
        {"length-and-encoding", post_with("Content-Length: 5\r\n" + kChunked, last)},
        {"length-and-encoding", post_with(kChunked + "Content-Length: 5\r\n", last)},
        {"length-and-encoding",
         post_with("Connection: content-length\r\nContent-Length: 5\r\n" + kChunked, last)},
        {"length-twice", post_with("Content-Length: 2\r\nContent-Length: 2\r\n", "hi")},
        {"length-twice", post_with("Content-Length: 2\r\nContent-Length: 3\r\n", "hi")},
        {"length-list", post_with("Content-Length: 2, 2\r\n", "hi")},
        {"length-malformed", post_with("Content-Length: +2\r\n", "hi")},
        {"length-malformed", post_with("Content-Length: -2\r\n", "hi")},
        {"length-malformed", post_with("Content-Length: 0x2\r\n", "hi")},
        {"length-malformed", post_with("Content-Length: 2 2\r\n", "hi")},
        {"length-malformed", post_with("Content-Length:\r\n", "hi")},
        {"length-malformed", post_with("Content-Length: 18446744073709551618\r\n", "hi")},
        {"encoding-other", post_with("Transfer-Encoding: gzip, chunked\r\n", last)},
        {"encoding-other", post_with("Transfer-Encoding: identity\r\n", last)},
        {"encoding-other", post_with("Transfer-Encoding: chunked, chunked\r\n", last)},
        {"encoding-other", post_with("Transfer-Encoding: xchunked\r\n", last)},
        {"encoding-other", post_with("Transfer-Encoding: \x0b"
                                     "chunked\r\n",
                                     last)},
        {"encoding-other", post_with("Transfer-Encoding: chunked;a=b\r\n", last)},
        {"encoding-other", post_with("Transfer-Encoding:\r\n", last)},
        {"encoding-twice", post_with(kChunked + kChunked, last)},
        {"encoding-http-1.0", with("POST / HTTP/1.0", kChunked, last)},
        {"chunk-line-ends", chunks("2\nhi\n0\n\n")},
        {"chunk-line-ends", chunks("2;\nhi\r\n0\r\n\r\n")},
        {"chunk-line-ends", chunks("2\r\nhi\n0\r\n\r\n")},
        {"chunk-line-ends", chunks("2\r\rhi\r\n0\r\n\r\n")},
        {"chunk-size", chunks("0x2\r\nhi\r\n0\r\n\r\n")},
        {"chunk-size", chunks("+2\r\nhi\r\n0\r\n\r\n")},
        {"chunk-size", chunks("-2\r\nhi\r\n0\r\n\r\n")},
        {"chunk-size", chunks(" 2\r\nhi\r\n0\r\n\r\n")},
        {"chunk-size", chunks("10000000000000002\r\nhi\r\n0\r\n\r\n")},
        {"chunk-size", chunks("\r\nhi\r\n0\r\n\r\n")},
        {"chunk-longer", chunks("2\r\nhix\r\n0\r\n\r\n")},
        {"chunk-extension-malformed", chunks("2 ;a\r\nhi\r\n0\r\n\r\n")},
        {"chunk-extension-malformed", chunks("2;a=\"b\r\nhi\r\n0\r\n\r\n")},
        {"trailer-malformed", chunks("0\r\nX-T: 1\r\n 2\r\n\r\n")},
        {"trailer-malformed", chunks("0\r\nX-T : 1\r\n\r\n")},
        {"trailer-malformed", chunks("0\r\nX-T\r\n\r\n")},
    };
}

/// Sends the rows one after the other, each on a connection of its own.
void expect_refused(const std::vector<Refused>& rows) {
    FakeBackend backend;
    const auto proxy = ProxyUnderTest::with_yaml(in_front_of(backend));
    for (const Refused& row : rows) {
        SCOPED_TRACE(row.name + ": " + row.sent.substr(0, 120));
        RawClient client = proxy.connect();
        const auto answer = client.exchange(row.sent);
        ASSERT_TRUE(answer) << client.received();
        EXPECT_EQ(answer->status, row.status);
        EXPECT_EQ(answer->reason(), row.reason);
        if (row.status != 404) {
            EXPECT_EQ(answer->header("Connection"), "close");
            EXPECT_TRUE(client.closed_by_peer());
        }
        EXPECT_EQ(backend.request_count(), 0U);
    }
    // Nothing was still on its way either.
    proxy.get("/after");
    const auto requests = backend.requests();
    ASSERT_EQ(requests.size(), 1U);
    EXPECT_EQ(requests[0].target, "/after");
}

struct Passed {
    std::string name;
    std::string sent_line;
    std::string sent_fields;  ///< Host among them.
    std::string sent_body;
    std::string line;    ///< What the backend gets.
    std::string host;    ///< Empty: `Host:` without a value, and no X-Forwarded-Host.
    std::string fields;  ///< Between Host and X-Forwarded-For.
    std::string framing{};
    std::string body{};
};

std::string expected(const Passed& row, std::uint16_t port) {
    return row.line + "\r\nHost:" + (row.host.empty() ? "" : " " + row.host) + "\r\n" + row.fields +
           "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n" +
           (row.host.empty() ? "" : "X-Forwarded-Host: " + row.host + "\r\n") +
           "X-Forwarded-Port: " + std::to_string(port) + "\r\n" + kIds + row.framing + "\r\n" +
           row.body;
}

/// A GET that goes on as it came.
Passed unchanged(const std::string& name, const std::string& path) {
    const std::string line = "GET " + path + " HTTP/1.1";
    return {name, line, kHost, "", line, "a.example", ""};
}
/// A GET with these fields, of which `fields` are left.
Passed edited(const std::string& name, const std::string& sent, const std::string& fields,
              const std::string& end = {}) {
    return {name, "GET / HTTP/1.1", kHost + sent, "", "GET / HTTP/1.1", "a.example", fields, end};
}
Passed absolute(const std::string& name, const std::string& sent, const std::string& line,
                const std::string& host = "a.example") {
    return {name, sent, kHost, "", line, host, ""};
}
Passed method(const std::string& name, const std::string& line) {
    return {name, line, kHost, "", line, "a.example", ""};
}
Passed body(const std::string& name, const std::string& sent_fields, const std::string& sent_body,
            const std::string& fields, const std::string& framing, const std::string& got_body) {
    const std::string line = "POST / HTTP/1.1";
    return {name,    line,    kHost + sent_fields, sent_body, line, "a.example", fields,
            framing, got_body};
}

std::vector<Passed> passed_lines() {
    return {
        unchanged("plain", "/"),
        unchanged("dot-segments", "/a/../b/./c"),
        unchanged("encoded-dots", "/a/%2e%2E/b"),
        unchanged("encoded-slash", "/a%2Fb%2fc"),
        unchanged("percent-malformed", "/a%zz%00%"),
        unchanged("double-slash", "//a//b"),
        unchanged("target-other-ascii", "/a\\b\"<>^`{|}"),
        absolute("absolute", "GET http://a.example/x?y=1 HTTP/1.1", "GET /x?y=1 HTTP/1.1"),
        absolute("absolute", "GET HTTP://A.EXAMPLE/ HTTP/1.1", "GET / HTTP/1.1", "A.EXAMPLE"),
        absolute("absolute", "GET https://a.example/ HTTP/1.1", "GET / HTTP/1.1"),
        absolute("absolute-no-path", "GET http://a.example HTTP/1.1", "GET / HTTP/1.1"),
        absolute("absolute-no-path", "GET http://a.example?q HTTP/1.1", "GET /?q HTTP/1.1"),
        absolute("absolute-options", "OPTIONS http://a.example HTTP/1.1", "OPTIONS * HTTP/1.1"),
        method("asterisk-options", "OPTIONS * HTTP/1.1"),
        method("trace", "TRACE / HTTP/1.1"),
        method("method-unknown", "BREW / HTTP/1.1"),
        method("method-unknown", "get / HTTP/1.1"),
        {"http-1.0", "GET / HTTP/1.0", "", "", "GET / HTTP/1.1", "", ""},
        {"http-1.0", "GET / HTTP/1.0", kHost, "", "GET / HTTP/1.1", "a.example", ""},
        {"leading-crlf", "\r\n\r\nGET / HTTP/1.1", kHost, "", "GET / HTTP/1.1", "a.example", ""},
        {"host-forms", "GET / HTTP/1.1", "Host: [::1]:80\r\n", "", "GET / HTTP/1.1", "[::1]:80",
         ""},
        {"host-forms", "GET / HTTP/1.1", "Host: a.example:\r\n", "", "GET / HTTP/1.1",
         "a.example:", ""},
    };
}

std::vector<Passed> passed_fields() {
    std::string many = "Connection: ";
    for (int i = 0; i < 40; ++i) {
        many += "x-" + std::to_string(i) + ", ";
    }
    return {
        edited("underscores", "X_Forwarded_For: 6.6.6.6\r\nx-request_id: 1\r\nX_Other: 2\r\n",
               "X_Other: 2\r\n"),
        edited("duplicates", "Authorization: a\r\nAuthorization: b\r\n",
               "Authorization: a\r\nAuthorization: b\r\n"),
        edited("white-space", "X-A:  \t1 2\t\r\nX-B:\r\n", "X-A: 1 2\r\nX-B: \r\n"),
        edited("obs-text", "X-A: \xe4\r\n", "X-A: \xe4\r\n"),
        edited("hop-by-hop",
               "Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\n", ""),
        edited("connection-named", "Connection: x-a, X-B\r\nX-A: 1\r\nX-B: 2\r\nX-C: 3\r\n",
               "X-C: 3\r\n"),
        edited("connection-named", many + "x-a\r\nX-39: 1\r\nX-A: 1\r\nX-B: 2\r\n", "X-B: 2\r\n"),
        edited("connection-protected", "Connection: host, x-forwarded-for, x-request-id\r\n", ""),
        edited("proxy-authorization", "Proxy-Authorization: Basic x\r\n",
               "Proxy-Authorization: Basic x\r\n"),
        edited("forwarded-untrusted",
               "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 1\r\n"
               "X-Forwarded-Host: b.example\r\nForwarded: for=6.6.6.6\r\nX-Rproxy-Reason: x\r\n",
               ""),
        edited("real-ip", "X-Real-IP: 6.6.6.6\r\n", "X-Real-IP: 6.6.6.6\r\n"),
        edited("upgrade", "Connection: Upgrade\r\nUpgrade: websocket\r\n", "",
               "Connection: upgrade\r\nUpgrade: websocket\r\n"),
        edited("upgrade-not-asked", "Upgrade: websocket\r\n", ""),
        {"upgrade-http-1.0", "GET / HTTP/1.0", kHost + "Connection: Upgrade\r\nUpgrade: x\r\n", "",
         "GET / HTTP/1.1", "a.example", ""},
        edited("upgrade-h2c",
               "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n",
               ""),
        edited("upgrade-h2c", "Connection: Upgrade\r\nUpgrade: websocket, H2C\r\n", ""),
    };
}

std::vector<Passed> passed_bodies() {
    return {
        body("length", "Content-Length: 2\r\n", "hi", "", "Content-Length: 2\r\n", "hi"),
        body("length-zeros", "Content-Length: 002\r\n", "hi", "", "Content-Length: 2\r\n", "hi"),
        body("encoding-case", "Transfer-Encoding: Chunked\r\n", "2\r\nhi\r\n0\r\n\r\n", "",
             kChunked, "2\r\nhi\r\n0\r\n\r\n"),
        body("encoding-underscore", "Transfer_Encoding: chunked\r\nContent-Length: 2\r\n", "hi",
             "Transfer_Encoding: chunked\r\n", "Content-Length: 2\r\n", "hi"),
        body("chunk-extension", kChunked, "2;a=b;c=\"d;e\"\r\nhi\r\n0;x\r\n\r\n", "", kChunked,
             "2\r\nhi\r\n0\r\n\r\n"),
        body("chunk-reframed", kChunked, "00A\r\n0123456789\r\n000\r\n\r\n", "", kChunked,
             "a\r\n0123456789\r\n0\r\n\r\n"),
        body("trailers", kChunked + "Trailer: X-T\r\nTE: trailers\r\n",
             "2\r\nhi\r\n0\r\nX-T:  1\r\nContent-Length: 9\r\nHost: evil\r\nTransfer-Encoding: "
             "x\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n",
             "Trailer: X-T\r\n", kChunked, "2\r\nhi\r\n0\r\nX-T: 1\r\n\r\n"),
        body("expect", "Expect: 100-continue\r\nContent-Length: 2\r\n", "hi",
             "Expect: 100-continue\r\n", "Content-Length: 2\r\n", "hi"),
        {"get-with-body", "GET / HTTP/1.1", kHost + "Content-Length: 2\r\n", "hi", "GET / HTTP/1.1",
         "a.example", "", "Content-Length: 2\r\n", "hi"},
    };
}

void expect_passed(const std::vector<Passed>& rows) {
    FakeBackend backend;
    const auto proxy = ProxyUnderTest::with_yaml(in_front_of(backend));
    for (const Passed& row : rows) {
        SCOPED_TRACE(row.name + ": " + row.sent_line);
        const std::size_t before = backend.request_count();
        RawClient client = proxy.connect();
        auto answer = client.exchange(row.sent_line + "\r\n" + row.sent_fields + kIds + "\r\n" +
                                      row.sent_body);
        if (answer && answer->status == 100) {
            answer = client.response();
        }
        ASSERT_TRUE(answer) << client.received();
        EXPECT_EQ(answer->status, 200) << answer->raw;
        const auto requests = backend.requests();
        ASSERT_EQ(requests.size(), before + 1);
        EXPECT_EQ(requests.back().raw, expected(row, proxy.port()));
    }
}

}  // namespace

TEST(RefusedRequests, WithABadLineReachNoBackend) {
    expect_refused(refused_lines());
}

TEST(RefusedRequests, WithBadFieldsReachNoBackend) {
    expect_refused(refused_fields());
}

TEST(RefusedRequests, WithBadFramingReachNoBackend) {
    expect_refused(refused_framing());
}

TEST(PassedRequests, AreWrittenAnewFromTheirLine) {
    expect_passed(passed_lines());
}

TEST(PassedRequests, AreWrittenAnewFromTheirFields) {
    expect_passed(passed_fields());
}

TEST(PassedRequests, AreFramedAnew) {
    expect_passed(passed_bodies());
}

// row: late-malformed
TEST(RefusedRequests, MalformedAfterTheirStartNeverLookComplete) {
    FakeBackend backend;
    const auto proxy = ProxyUnderTest::with_yaml(in_front_of(backend));
    RawClient client = proxy.connect();
    client.send(chunks("2\r\nhi\r\n"));
    // The check's connection and this one: by now the proxy has read the head with the first chunk,
    // and nothing else.
    ASSERT_TRUE(wait_until([&] { return backend.connections_accepted() == 2; }));

    const auto answer = client.exchange("zz\r\n");

    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 400);
    EXPECT_TRUE(client.closed_by_peer());
    ASSERT_TRUE(backend.wait_for_requests(1));
    EXPECT_FALSE(backend.requests()[0].complete);
}

// row: dots-routed
TEST(PassedRequests, AreRoutedByTheirNormalizedPath) {
    FakeBackend open;
    FakeBackend closed;
    const auto proxy = ProxyUnderTest::with_yaml(
        "pools:\n  open: {backends: [\"" + open.address() + "\"]}\n  closed: {backends: [\"" +
        closed.address() +
        "\"]}\nroutes: [{path: /public, pool: open}, {path: /admin, pool: closed}]\n");
    for (const std::string path :
         {"/public/../admin", "/public/%2e%2E/admin", "/public/./../%61dmin"}) {
        EXPECT_EQ(proxy.get(path).status, 200) << path;
    }
    EXPECT_EQ(proxy.get("/public/..%2Fadmin").status, 200);
    EXPECT_EQ(closed.request_count(), 3U);
    ASSERT_EQ(open.request_count(), 1U);
    EXPECT_EQ(open.requests()[0].target, "/public/..%2Fadmin");
}

}  // namespace rproxy::test
