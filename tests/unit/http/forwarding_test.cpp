#include "http/forwarding.h"

#include "unit/http/heads.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rproxy::http {
namespace {

using Kind = BodyFraming::Kind;

const IpAddress kClient = *IpAddress::parse("203.0.113.9");
const IpAddress kProxy = *IpAddress::parse("10.0.0.5");
const std::vector<Cidr> kTrusted{*Cidr::parse("10.0.0.0/8"), *Cidr::parse("fd00::/8")};

struct Forwarded {
    IpAddress peer{kClient};
    BodyFraming framing{};
    bool tls{false};
    bool upgrade{false};
};

std::string forwarded(const RequestHead& head, const Forwarded& how = {}) {
    const auto target = parse_target(head);
    EXPECT_TRUE(target);
    const auto client = identify_client(how.peer, kTrusted, head.fields);
    Buffer out;
    write_request_head(head, *target, how.framing,
                       {client, 8080, how.tls, "the-id", "the-parent", how.upgrade}, out);
    return std::string(out.view());
}

TEST(WriteRequestHead, WritesAMinimalRequest) {
    EXPECT_EQ(forwarded(request("GET", "/a?b", fields_of({{"host", "example.com:8080"}}))),
              "GET /a?b HTTP/1.1\r\n"
              "Host: example.com:8080\r\n"
              "X-Forwarded-For: 203.0.113.9\r\n"
              "X-Forwarded-Proto: http\r\n"
              "X-Forwarded-Host: example.com:8080\r\n"
              "X-Forwarded-Port: 8080\r\n"
              "X-Request-Id: the-id\r\n"
              "Traceparent: the-parent\r\n"
              "\r\n");
}

TEST(WriteRequestHead, PassesEndToEndFieldsOnInOrderAndDropsHopByHopOnes) {
    const auto head = request("POST", "/",
                              fields_of({{"Accept", "*/*"},
                                         {"Connection", "close, X-Secret, TE"},
                                         {"Host", "h"},
                                         {"Keep-Alive", "timeout=5"},
                                         {"Proxy-Connection", "keep-alive"},
                                         {"TE", "trailers"},
                                         {"Transfer-Encoding", "chunked"},
                                         {"Upgrade", "h2c"},
                                         {"x-SECRET", "1"},
                                         {"Cookie", "a=b"},
                                         {"Trailer", "X-Sum"},
                                         {"X-Rproxy-Reason", "forged"},
                                         {"Accept", "text/html"},
                                         {"X-Empty", ""}}));
    EXPECT_EQ(forwarded(head, {.framing = {Kind::Chunked, 0}}),
              "POST / HTTP/1.1\r\n"
              "Host: h\r\n"
              "Accept: */*\r\n"
              "Cookie: a=b\r\n"
              "Trailer: X-Sum\r\n"
              "Accept: text/html\r\n"
              "X-Empty: \r\n"
              "X-Forwarded-For: 203.0.113.9\r\n"
              "X-Forwarded-Proto: http\r\n"
              "X-Forwarded-Host: h\r\n"
              "X-Forwarded-Port: 8080\r\n"
              "X-Request-Id: the-id\r\n"
              "Traceparent: the-parent\r\n"
              "Transfer-Encoding: chunked\r\n"
              "\r\n");
}

const auto kForged = fields_of({{"Host", "h"},
                                {"X-Forwarded-For", "198.51.100.1"},
                                {"X-Forwarded-For", "10.1.1.1"},
                                {"X-Forwarded-Proto", "https"},
                                {"X-Forwarded-Host", "public.example"},
                                {"X-Forwarded-Port", "443"},
                                {"Forwarded", "for=198.51.100.1;proto=https"},
                                {"X-Request-Id", "theirs"},
                                {"Traceparent", "theirs"}});

TEST(WriteRequestHead, ReplacesWhatAnUntrustedPeerSaysOfTheClient) {
    EXPECT_EQ(forwarded(request("GET", "/", kForged), {.tls = true}),
              "GET / HTTP/1.1\r\n"
              "Host: h\r\n"
              "X-Forwarded-For: 203.0.113.9\r\n"
              "X-Forwarded-Proto: https\r\n"
              "X-Forwarded-Host: h\r\n"
              "X-Forwarded-Port: 8080\r\n"
              "X-Request-Id: the-id\r\n"
              "Traceparent: the-parent\r\n"
              "\r\n");
}

TEST(WriteRequestHead, AppendsToWhatATrustedProxySays) {
    EXPECT_EQ(forwarded(request("GET", "/", kForged), {.peer = kProxy}),
              "GET / HTTP/1.1\r\n"
              "Host: h\r\n"
              "Forwarded: for=198.51.100.1;proto=https\r\n"
              "X-Forwarded-For: 198.51.100.1, 10.1.1.1, 10.0.0.5\r\n"
              "X-Forwarded-Proto: https\r\n"
              "X-Forwarded-Host: public.example\r\n"
              "X-Forwarded-Port: 443\r\n"
              "X-Request-Id: the-id\r\n"
              "Traceparent: the-parent\r\n"
              "\r\n");
}

TEST(WriteRequestHead, PrintsAnIPv6PeerWithoutBrackets) {
    const auto written = forwarded(request("GET", "/", fields_of({{"Host", "h"}})),
                                   {.peer = *IpAddress::parse("2001:DB8::1")});
    EXPECT_NE(written.find("X-Forwarded-For: 2001:db8::1\r\n"), std::string::npos) << written;
}

// A client that could remove these would choose another route, another body or another identity.
TEST(WriteRequestHead, LetsConnectionRemoveNeitherRoutingNorFramingNorIdentity) {
    const auto head =
        request("POST", "/",
                fields_of({{"Connection", "Host, Content-Length, X-Forwarded-For, X-Request-Id"},
                           {"Host", "h"},
                           {"Content-Length", "5"}}));
    EXPECT_EQ(forwarded(head, {.framing = {Kind::Length, 5}}),
              "POST / HTTP/1.1\r\n"
              "Host: h\r\n"
              "X-Forwarded-For: 203.0.113.9\r\n"
              "X-Forwarded-Proto: http\r\n"
              "X-Forwarded-Host: h\r\n"
              "X-Forwarded-Port: 8080\r\n"
              "X-Request-Id: the-id\r\n"
              "Traceparent: the-parent\r\n"
              "Content-Length: 5\r\n"
              "\r\n");
}

std::string first_lines(const std::string& head) {
    return head.substr(0, head.find("X-Forwarded-For"));
}

TEST(WriteRequestHead, WritesTheOriginFormOfEveryForm) {
    const auto host = fields_of({{"Host", "h"}});
    EXPECT_EQ(first_lines(forwarded(request("GET", "http://H/a?b", host))),
              "GET /a?b HTTP/1.1\r\nHost: H\r\n");
    EXPECT_EQ(first_lines(forwarded(request("GET", "http://h", host))),
              "GET / HTTP/1.1\r\nHost: h\r\n");
    EXPECT_EQ(first_lines(forwarded(request("GET", "http://h?q", host))),
              "GET /?q HTTP/1.1\r\nHost: h\r\n");
    EXPECT_EQ(first_lines(forwarded(request("OPTIONS", "*", host))),
              "OPTIONS * HTTP/1.1\r\nHost: h\r\n");
}

TEST(WriteRequestHead, SendsAnEmptyHostForAnHttp10ClientWithoutOne) {
    EXPECT_EQ(forwarded(request("GET", "/", {}, Version::Http10)),
              "GET / HTTP/1.1\r\n"
              "Host:\r\n"
              "X-Forwarded-For: 203.0.113.9\r\n"
              "X-Forwarded-Proto: http\r\n"
              "X-Forwarded-Port: 8080\r\n"
              "X-Request-Id: the-id\r\n"
              "Traceparent: the-parent\r\n"
              "\r\n");
}

TEST(WriteRequestHead, PassesAnUpgradeOn) {
    const auto head = request("GET", "/ws",
                              fields_of({{"Host", "h"},
                                         {"Connection", "keep-alive, Upgrade"},
                                         {"Upgrade", "websocket"},
                                         {"Sec-WebSocket-Version", "13"}}));
    EXPECT_EQ(forwarded(head, {.upgrade = true}),
              "GET /ws HTTP/1.1\r\n"
              "Host: h\r\n"
              "Sec-WebSocket-Version: 13\r\n"
              "X-Forwarded-For: 203.0.113.9\r\n"
              "X-Forwarded-Proto: http\r\n"
              "X-Forwarded-Host: h\r\n"
              "X-Forwarded-Port: 8080\r\n"
              "X-Request-Id: the-id\r\n"
              "Traceparent: the-parent\r\n"
              "Connection: upgrade\r\n"
              "Upgrade: websocket\r\n"
              "\r\n");
}

TEST(IdentifyClient, BelievesTheChainAsFarAsItIsTrusted) {
    struct Case {
        std::string_view peer;
        std::vector<Field> fields;
        std::string_view client;
        bool trusted;
    };
    const auto chain = [](std::string_view value) {
        return fields_of({{"X-Forwarded-For", value}});
    };
    const std::vector<Case> cases{
        {"203.0.113.9", chain("198.51.100.1"), "203.0.113.9", false},
        {"10.0.0.5", {}, "10.0.0.5", true},
        {"10.0.0.5", chain("198.51.100.1"), "198.51.100.1", true},
        {"10.0.0.5", chain("198.51.100.1, 10.1.1.1"), "198.51.100.1", true},
        // Whatever stands before the last untrusted hop is that hop's own claim.
        {"10.0.0.5", chain("1.1.1.1, 198.51.100.1, 10.1.1.1"), "198.51.100.1", true},
        {"10.0.0.5", chain("10.2.2.2,10.1.1.1"), "10.2.2.2", true},
        {"10.0.0.5", chain("198.51.100.1, garbage, 10.1.1.1"), "10.1.1.1", true},
        {"10.0.0.5", chain("garbage"), "10.0.0.5", true},
        {"10.0.0.5", chain(""), "10.0.0.5", true},
        {"10.0.0.5", chain("198.51.100.1:1234"), "10.0.0.5", true},
        {"fd00::1", chain("2001:db8::7"), "2001:db8::7", true},
        {"10.0.0.5",
         fields_of({{"X-Forwarded-For", "198.51.100.1"}, {"X-Forwarded-For", "10.1.1.1"}}),
         "198.51.100.1", true},
        {"10.0.0.5",
         fields_of({{"X-Forwarded-For", "10.1.1.1"}, {"X-Forwarded-For", "198.51.100.1"}}),
         "198.51.100.1", true},
    };
    for (const auto& [peer, fields, address, trusted] : cases) {
        const auto client = identify_client(*IpAddress::parse(peer), kTrusted, fields);
        EXPECT_EQ(client.peer.to_string(), peer);
        EXPECT_EQ(client.address.to_string(), address) << peer;
        EXPECT_EQ(client.peer_trusted, trusted) << peer;
    }
}

ResponseEdits edits() {
    return {.close = false,
            .say_keep_alive = false,
            .chunked = false,
            .hide_identity = true,
            .upgrade = false,
            .backend = "10.0.0.1:8080",
            .host = "example.com",
            .tls = false,
            .set_cookie = {}};
}

std::string answered(const ResponseHead& head, const BodyFraming& framing,
                     const ResponseEdits& how) {
    Buffer out;
    write_response_head(head, framing, how, out);
    return std::string(out.view());
}

TEST(WriteResponseHead, PassesEndToEndFieldsOnAndHidesTheBackend) {
    const auto head = response(200, "Fine",
                               fields_of({{"Server", "nginx"},
                                          {"X-Powered-By", "PHP"},
                                          {"Content-Type", "text/html"},
                                          {"Connection", "keep-alive, X-Hop"},
                                          {"X-Hop", "1"},
                                          {"Keep-Alive", "timeout=5"},
                                          {"Content-Length", "5"},
                                          {"Set-Cookie", "a=b"},
                                          {"Set-Cookie", "c=d"},
                                          {"X-Rproxy-Reason", "forged"}}),
                               Version::Http10);
    EXPECT_EQ(answered(head, {Kind::Length, 5}, edits()),
              "HTTP/1.1 200 Fine\r\n"
              "Content-Type: text/html\r\n"
              "Set-Cookie: a=b\r\n"
              "Set-Cookie: c=d\r\n"
              "Content-Length: 5\r\n"
              "\r\n");
    auto open = edits();
    open.hide_identity = false;
    open.set_cookie = "rproxy_backend=x; Path=/";
    open.close = true;
    EXPECT_EQ(answered(head, {Kind::Length, 5}, open),
              "HTTP/1.1 200 Fine\r\n"
              "Server: nginx\r\n"
              "X-Powered-By: PHP\r\n"
              "Content-Type: text/html\r\n"
              "Set-Cookie: a=b\r\n"
              "Set-Cookie: c=d\r\n"
              "Set-Cookie: rproxy_backend=x; Path=/\r\n"
              "Content-Length: 5\r\n"
              "Connection: close\r\n"
              "\r\n");
}

TEST(WriteResponseHead, SaysHowTheBodyIsFramed) {
    const auto head = response(200, "OK", {});
    auto how = edits();
    EXPECT_EQ(answered(head, {Kind::Length, 0}, how),
              "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    EXPECT_EQ(answered(head, {Kind::UntilClose, 0}, how), "HTTP/1.1 200 OK\r\n\r\n");
    // A chunked body for an old client lasts until close.
    EXPECT_EQ(answered(head, {Kind::Chunked, 0}, how), "HTTP/1.1 200 OK\r\n\r\n");
    how.chunked = true;
    EXPECT_EQ(answered(head, {Kind::UntilClose, 0}, how),
              "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    EXPECT_EQ(answered(head, {Kind::Chunked, 0}, how),
              "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
}

// RFC 9110 §8.6: HEAD and 304 tell the length of what GET would send; 1xx and 204 must not.
TEST(WriteResponseHead, KeepsTheLengthOfABodylessResponseWhereItMeansSomething) {
    const auto fields = fields_of({{"Content-Length", "5"}});
    EXPECT_EQ(answered(response(200, "OK", fields), {}, edits()),
              "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    EXPECT_EQ(answered(response(304, "Not Modified", fields), {}, edits()),
              "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n");
    EXPECT_EQ(answered(response(204, "No Content", fields), {}, edits()),
              "HTTP/1.1 204 No Content\r\n\r\n");
    EXPECT_EQ(answered(response(103, "Early Hints", fields), {}, edits()),
              "HTTP/1.1 103 Early Hints\r\n\r\n");
    EXPECT_EQ(
        answered(response(200, "OK", fields_of({{"Transfer-Encoding", "chunked"}})), {}, edits()),
        "HTTP/1.1 200 OK\r\n\r\n");
}

TEST(WriteResponseHead, TellsAnOldClientThatTheConnectionStays) {
    auto how = edits();
    how.say_keep_alive = true;
    EXPECT_EQ(answered(response(200, "", {}), {Kind::Length, 0}, how),
              "HTTP/1.1 200 \r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n");
    how.close = true;
    EXPECT_EQ(answered(response(200, "", {}), {Kind::Length, 0}, how),
              "HTTP/1.1 200 \r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

TEST(WriteResponseHead, PassesAnUpgradeOn) {
    auto how = edits();
    how.upgrade = true;
    const auto fields = fields_of(
        {{"Connection", "Upgrade"}, {"Upgrade", "websocket"}, {"Sec-WebSocket-Accept", "x"}});
    EXPECT_EQ(answered(response(101, "Switching Protocols", fields), {}, how),
              "HTTP/1.1 101 Switching Protocols\r\n"
              "Sec-WebSocket-Accept: x\r\n"
              "Connection: upgrade\r\n"
              "Upgrade: websocket\r\n"
              "\r\n");
}

std::string location(std::string_view value, const ResponseEdits& how) {
    const auto head =
        answered(response(302, "", fields_of({{"Location", value}})), {Kind::Length, 0}, how);
    const auto from = head.find("Location: ") + 10;
    return head.substr(from, head.find("\r\n", from) - from);
}

TEST(WriteResponseHead, RewritesOnlyALocationThatNamesTheBackend) {
    const std::vector<std::pair<std::string_view, std::string_view>> cases{
        {"http://10.0.0.1:8080/x?y#z", "http://example.com/x?y#z"},
        {"http://10.0.0.1:8080", "http://example.com"},
        {"http://10.0.0.1:8080?q", "http://example.com?q"},
        {"https://10.0.0.1:8080/", "http://example.com/"},
        {"http://10.0.0.1:80801/", "http://10.0.0.1:80801/"},
        {"http://10.0.0.1/", "http://10.0.0.1/"},
        {"http://user@10.0.0.1:8080/", "http://user@10.0.0.1:8080/"},
        {"http://other.example/10.0.0.1:8080", "http://other.example/10.0.0.1:8080"},
        {"/x", "/x"},
        {"//10.0.0.1:8080/x", "//10.0.0.1:8080/x"},
        {"", ""},
    };
    for (const auto& [from, to] : cases) {
        EXPECT_EQ(location(from, edits()), to) << from;
    }
    auto tls = edits();
    tls.tls = true;
    EXPECT_EQ(location("http://10.0.0.1:8080/x", tls), "https://example.com/x");
    auto open = edits();
    open.hide_identity = false;
    EXPECT_EQ(location("http://10.0.0.1:8080/x", open), "http://10.0.0.1:8080/x");
    auto nameless = edits();
    nameless.host = {};
    EXPECT_EQ(location("http://10.0.0.1:8080/x", nameless), "http://10.0.0.1:8080/x");
}

TEST(WriteResponseHead, AppendsToWhatWaitsToBeSent) {
    Buffer out;
    out.append("before");
    write_response_head(response(200, "OK", {}), {}, edits(), out);
    EXPECT_EQ(out.view(), "beforeHTTP/1.1 200 OK\r\n\r\n");
}

TEST(ConnectionOptions, NamesWhatTheFieldsList) {
    const auto fields = fields_of({{"Connection", "close, X-A"}, {"connection", "x-b,, "}});
    const ConnectionOptions options(fields);
    EXPECT_TRUE(options.names("x-a"));
    EXPECT_TRUE(options.names("X-B"));
    EXPECT_FALSE(options.names("X-C"));
    EXPECT_FALSE(options.names("close"));  // an option of the connection, no field
}

}  // namespace
}  // namespace rproxy::http
