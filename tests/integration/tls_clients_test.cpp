#include "integration/tls_setup.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <vector>

namespace rproxy::test {
namespace {

const TestAuthority& authority() {
    static const TestAuthority kAuthority;
    return kAuthority;
}

struct Stage {
    Certificates files;
    FakeBackend backend;
    std::string pair{files.add("a", authority().issue())};
};

TEST(TlsClients, AreServedAndTheirBackendIsTold) {
    Stage stage;
    const auto proxy = ProxyUnderTest::with_yaml(https(stage.pair) + to(stage.backend));
    TlsClient client(proxy.port("https"), {.ca = authority().cert()});
    ASSERT_TRUE(client.ok()) << client.problem();
    EXPECT_EQ(client.version(), "TLSv1.3");
    for (int i = 0; i < 3; ++i) {
        const auto response = client.exchange(get("/x"));
        ASSERT_TRUE(response);
        EXPECT_EQ(response->body, "ok");
    }
    const auto request = stage.backend.requests().front();
    EXPECT_EQ(request.header("X-Forwarded-Proto"), "https");
    EXPECT_EQ(
        proxy.metric("rproxy_tls_handshakes_total", {{"listener", "https"}, {"result", "success"}}),
        1);
    EXPECT_EQ(proxy.metric("rproxy_tls_handshakes_by_version_total",
                           {{"listener", "https"}, {"version", "1.3"}, {"kind", "full"}}),
              1);
}

TEST(TlsClients, SendAndReceiveLargeBodiesInBothVersions) {
    Stage stage;
    const std::string body = pattern(700'001);
    stage.backend.on("/down", respond(200, {}, body));
    stage.backend.on("/chunks", chunked(pieces_of(body)));
    const auto proxy = ProxyUnderTest::with_yaml(https(stage.pair) + to(stage.backend));
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        TlsClient client(proxy.port("https"), {.version = version});
        const auto down = client.exchange(get("/down"));
        ASSERT_TRUE(down);
        EXPECT_EQ(down->body, body);
        const auto chunks = client.exchange(get("/chunks"));
        ASSERT_TRUE(chunks);
        EXPECT_EQ(chunks->body, body);
        ASSERT_TRUE(client.exchange(post("/up", body)));
        EXPECT_EQ(stage.backend.requests().back().body, body);
    }
}

TEST(TlsClients, PipelineInOneRecordAndInMany) {
    Stage stage;
    const auto proxy = ProxyUnderTest::with_yaml(https(stage.pair) + to(stage.backend));
    TlsClient client(proxy.port("https"));
    client.send(get("/1") + get("/2"));
    client.send(get("/3"));
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(client.response()) << i;
    }
    // By the byte, each a record of its own.
    for (const char c : get("/slow")) {
        ASSERT_TRUE(client.send({&c, 1}));
    }
    ASSERT_TRUE(client.response());
    EXPECT_EQ(stage.backend.requests().back().target, "/slow");
}

TEST(TlsClients, ReadTheirAnswerLate) {
    Stage stage;
    const std::string body = pattern(9'000'000);  // more than all buffers on the way hold
    stage.backend.on("/", respond(200, {}, body));
    const auto proxy = ProxyUnderTest::with_yaml(https(stage.pair) + to(stage.backend));
    TlsClient client(proxy.port("https"));
    client.send(get("/"));
    ASSERT_TRUE(stage.backend.wait_for_requests(1));
    const auto answer = client.response();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->body, body);
    ASSERT_TRUE(client.exchange(get("/"))) << "the connection stays";
}

TEST(TlsClients, MayUpdateTheirKeysInBetween) {
    Stage stage;
    const auto proxy = ProxyUnderTest::with_yaml(https(stage.pair) + to(stage.backend));
    TlsClient client(proxy.port("https"), {.version = TLS1_3_VERSION});
    for (int i = 0; i < 5; ++i) {
        ASSERT_TRUE(client.update_keys());
        ASSERT_TRUE(client.exchange(get("/"))) << client.problem();
    }
}

TEST(TlsClients, GetTheCertificateOfTheNameTheyAskFor) {
    Stage stage;
    const auto wild = stage.files.add("w", authority().issue({.names = {"*.example.com"}}));
    const auto exact = stage.files.add("e", authority().issue({.names = {"www.example.com"}}));
    const auto rsa = stage.files.add(
        "r", authority().issue({.names = {"localhost"}, .key = CertificateRequest::Key::Rsa2048}));
    const auto proxy = ProxyUnderTest::with_yaml(
        https(stage.pair + ", " + wild + ", " + exact + ", " + rsa) + to(stage.backend));
    const auto shown = [&](const TlsOptions& options) {
        const TlsClient client(proxy.port("https"), options);
        return client.subject() + " " + client.key_kind();
    };
    EXPECT_EQ(shown({.server_name = "api.example.com"}), "CN=*.example.com EC");
    EXPECT_EQ(shown({.server_name = "WWW.example.com"}), "CN=www.example.com EC");
    EXPECT_EQ(shown({.server_name = "a.b.example.com"}), "CN=localhost EC") << "one label only";
    EXPECT_EQ(shown({.server_name = ""}), "CN=localhost EC");
    EXPECT_EQ(shown({.version = TLS1_2_VERSION, .ciphers = "ECDHE-RSA-AES128-GCM-SHA256"}),
              "CN=localhost RSA");
}

TEST(TlsClients, AgreeOnAProtocolOrAreRefused) {
    Stage stage;
    const auto proxy = ProxyUnderTest::with_yaml(https(stage.pair) + to(stage.backend));
    const TlsClient both(proxy.port("https"), {.protocols = std::string("\x02h2\x08http/1.1")});
    EXPECT_EQ(both.protocol(), "http/1.1");
    const TlsClient other(proxy.port("https"), {.protocols = std::string("\x02h2")});
    EXPECT_FALSE(other.ok());
    EXPECT_EQ(other.problem(), "tlsv1 alert no application protocol");
}

TEST(TlsClients, ResumeOnAnyWorkerAndAfterAReload) {
    Stage stage;
    const std::string text = https(stage.pair) + to(stage.backend);
    auto proxy = ProxyUnderTest::with_yaml(text, {.workers = 3});
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        auto last =
            std::make_unique<TlsClient>(proxy.port("https"), TlsOptions{.version = version});
        ASSERT_TRUE(last->exchange(get("/")));
        EXPECT_FALSE(last->resumed());
        for (int i = 0; i < 6; ++i) {  // the kernel chooses the worker
            auto next = std::make_unique<TlsClient>(proxy.port("https"),
                                                    TlsOptions{.version = version}, last.get());
            ASSERT_TRUE(next->exchange(get("/")));
            EXPECT_TRUE(next->resumed());
            // What TLS 1.2 went on with serves again; TLS 1.3 has brought a new ticket.
            last = version == TLS1_3_VERSION ? std::move(next) : std::move(last);
        }
    }
    TlsClient before(proxy.port("https"));
    ASSERT_TRUE(before.exchange(get("/")));
    proxy.reload(text + "slow_start: 1s\n");
    const TlsClient after(proxy.port("https"), {}, &before);
    EXPECT_TRUE(after.resumed());
}

TEST(TlsClients, SpeakOnlyWhatIsConfigured) {
    Stage stage;
    const auto proxy = ProxyUnderTest::with_yaml(
        https(stage.pair,
              "    min_version: \"1.3\"\n    ciphers: [TLS_CHACHA20_POLY1305_SHA256]\n") +
        to(stage.backend));
    EXPECT_FALSE(TlsClient(proxy.port("https"), {.version = TLS1_2_VERSION}).ok());
    EXPECT_EQ(TlsClient(proxy.port("https")).cipher(), "TLS_CHACHA20_POLY1305_SHA256");
    const auto older = ProxyUnderTest::with_yaml(https(stage.pair, "    max_version: \"1.2\"\n") +
                                                 to(stage.backend));
    EXPECT_EQ(TlsClient(older.port("https")).version(), "TLSv1.2");
    EXPECT_FALSE(TlsClient(older.port("https"), {.version = TLS1_1_VERSION}).ok());
}

TEST(TlsClients, ProveWhoTheyAreWhereAsked) {
    Stage stage;
    const auto ca = stage.files.dir().write("ca.crt", authority().cert());
    const auto proxy = ProxyUnderTest::with_yaml(
        "listeners:\n- name: https\n  address: 127.0.0.1:0\n  tls: {certificates: [" + stage.pair +
        "], client_ca: \"" + ca + "\", client_auth: optional}\n" +
        "- {name: plain, address: 0.0.0.0:0}\n" + to(stage.backend));
    const auto strict = ProxyUnderTest::with_yaml(
        https(stage.pair, "    client_ca: \"" + ca + "\"\n") + to(stage.backend));
    const auto alice = authority().issue({.names = {}, .common_name = "z\xc3\xbc\nX-Evil: 1"});
    const auto last = [&] { return stage.backend.requests().back(); };
    const std::string forged =
        "X-Client-Subject: CN=root\r\nx_client_subject: CN=root\r\nX-CLIENT_Subject: CN=root\r\n";

    TlsClient known(proxy.port("https"), {.cert = alice.cert, .key = alice.key});
    ASSERT_TRUE(known.exchange(get("/", forged))) << known.problem();
    EXPECT_EQ(last().header("X-Client-Subject"), "CN=z\\C3\\BC\\0AX-Evil: 1");
    EXPECT_EQ(count_fields(last().head, "X-Client-Subject"), 1U);
    EXPECT_EQ(last().head.find("root"), std::string::npos);
    TlsClient resumed(proxy.port("https"), {.cert = alice.cert, .key = alice.key}, &known);
    ASSERT_TRUE(resumed.exchange(get("/")));
    EXPECT_TRUE(resumed.resumed());
    EXPECT_EQ(last().header("X-Client-Subject"), "CN=z\\C3\\BC\\0AX-Evil: 1");

    TlsClient nobody(proxy.port("https"));
    ASSERT_TRUE(nobody.exchange(get("/", forged)));
    EXPECT_EQ(last().head.find("root"), std::string::npos);
    RawClient plain(proxy.port("plain"));
    ASSERT_TRUE(plain.exchange(get("/", forged)));
    EXPECT_EQ(last().head.find("root"), std::string::npos) << "forged on another listener";

    ASSERT_TRUE(plain.exchange(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"
        "Checksum: 1\r\nx_client-subject: CN=root\r\n\r\n"));
    EXPECT_NE(last().raw.find("Checksum: 1"), std::string::npos);
    EXPECT_EQ(last().raw.find("root"), std::string::npos) << "forged in a trailer";

    TlsClient unproven(strict.port("https"));
    EXPECT_FALSE(unproven.exchange(get("/")));
    EXPECT_EQ(unproven.problem(), "tlsv13 alert certificate required");
    const auto stranger = TestAuthority("Other Root").issue({.names = {"mallory"}});
    TlsClient wrong(proxy.port("https"), {.cert = stranger.cert, .key = stranger.key});
    EXPECT_FALSE(wrong.exchange(get("/")));
    EXPECT_EQ(wrong.problem(), "tlsv1 alert unknown ca");
}

TEST(TlsClients, AreToldOfHstsAndSecureCookies) {
    Stage stage;
    stage.backend.otherwise(respond(302, {{"Location", "http://" + stage.backend.address() + "/y"},
                                          {"Strict-Transport-Security", "max-age=1"}}));
    const auto proxy = ProxyUnderTest::with_yaml(
        https(stage.pair, "    hsts: {max_age: 2d, include_subdomains: true}\n") +
        to(stage.backend) + "sticky: {}\n");
    TlsClient client(proxy.port("https"));
    const auto response = client.exchange(get("/x"));
    ASSERT_TRUE(response);
    EXPECT_EQ(response->header("Strict-Transport-Security"), "max-age=172800; includeSubDomains");
    EXPECT_EQ(count_fields(response->head, "Strict-Transport-Security"), 1U);
    EXPECT_EQ(response->header("Location"), "https://test/y");
    EXPECT_NE(response->header("Set-Cookie").value_or("").find("; Secure"), std::string::npos);
    const auto refused = client.exchange("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->status, 400);
    EXPECT_EQ(refused->header("Strict-Transport-Security"), "max-age=172800; includeSubDomains");
}

TEST(TlsClients, WhoComePlainAreSentToHttps) {
    Stage stage;
    const auto proxy = ProxyUnderTest::with_yaml(
        "listeners:\n- {name: http, address: 127.0.0.1:0, https_redirect: {port: 8443, status: "
        "301}}\n- {name: usual, address: 0.0.0.0:0, https_redirect: {}}\n"
        "trusted_proxies: [127.0.0.0/8]\n" +
        to(stage.backend));
    const auto at = [&](const std::string& listener, const std::string& request) {
        RawClient client(proxy.port(listener));
        const auto response = client.exchange(request);
        return response ? std::to_string(response->status) + " " + response->reason() + " " +
                              response->header("Location").value_or("-")
                        : std::string("nothing");
    };
    EXPECT_EQ(at("http", get("/a?b=c")), "301 https_redirect https://test:8443/a?b=c");
    EXPECT_EQ(at("usual", "GET /x HTTP/1.1\r\nHost: shop.example:8080\r\n\r\n"),
              "308 https_redirect https://shop.example/x");
    EXPECT_EQ(at("usual", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"),
              "308 https_redirect https://[::1]/");
    EXPECT_EQ(at("usual", post("/form", "a=b")), "308 https_redirect https://test/form");
    EXPECT_EQ(stage.backend.request_count(), 0U);
    EXPECT_EQ(at("usual", get("/", "X-Forwarded-Proto: https\r\n")), "200  -")
        << "a balancer in front ended the TLS";
    EXPECT_EQ(at("usual", "GET / HTTP/1.0\r\n\r\n"), "400 bad_request -");
}

TEST(TlsClients, GetTheOcspResponseOfTheFile) {
    Stage stage;
    const auto pair = authority().issue();
    const auto response = authority().ocsp(pair.cert);
    const auto proxy = ProxyUnderTest::with_yaml(
        https("{cert: \"" + stage.files.dir().write("o.crt", pair.cert) + "\", key: \"" +
              stage.files.dir().write("o.key", pair.key) + "\", ocsp: \"" +
              stage.files.dir().write("o.ocsp", response) + "\"}") +
        to(stage.backend));
    EXPECT_EQ(TlsClient(proxy.port("https"), {.wants_staple = true}).staple(), response);
    EXPECT_EQ(TlsClient(proxy.port("https")).staple(), "");
}

TEST(TlsClients, FirstBytesComeInSmallRecords) {
    Stage stage;
    stage.backend.on("/", respond(200, {}, pattern(200'000)));
    const auto proxy = ProxyUnderTest::with_yaml(https(stage.pair) + to(stage.backend));
    TlsClient client(proxy.port("https"), {.version = TLS1_3_VERSION});
    client.record_sizes();
    ASSERT_TRUE(client.exchange(get("/")));
    auto sizes = client.record_sizes();
    std::erase_if(sizes, [](std::size_t size) { return size < 300; });  // session tickets
    ASSERT_GT(sizes.size(), 5U);
    EXPECT_LE(sizes[0], 1400U);
    EXPECT_LE(sizes[1], 4200U);
    EXPECT_GT(*std::ranges::max_element(sizes), 16'000U);
}

TEST(TlsClients, AreToldWhenAnAnswerEndsAndWhenItBreaksOff) {
    Stage stage;
    auto until_close = respond(200, {}, "all of it");
    until_close.until_close = true;
    stage.backend.on("/whole", until_close);
    stage.backend.on("/broken", stall_after_head(respond(200, {}, pattern(100'000))));
    const auto proxy = ProxyUnderTest::with_yaml(https(stage.pair) + to(stage.backend) + kNoChecks);
    TlsClient whole(proxy.port("https"));
    whole.send("GET /whole HTTP/1.0\r\nHost: a\r\n\r\n");
    EXPECT_NE(whole.read_to_end().find("all of it"), std::string::npos);
    EXPECT_TRUE(whole.clean_end());
    TlsClient broken(proxy.port("https"));
    broken.send(get("/broken"));
    EXPECT_EQ(broken.read(12), "HTTP/1.1 200");
    stage.backend.stop();
    broken.read_to_end();
    EXPECT_FALSE(broken.clean_end());
}

TEST(TlsClients, MayComeBehindAProxyHeader) {
    Stage stage;
    const auto proxy =
        ProxyUnderTest::with_yaml(https(stage.pair, "", "  proxy_protocol: true\n") +
                                  "trusted_proxies: [127.0.0.0/8]\n" + to(stage.backend));
    TlsClient client(proxy.port("https"),
                     {.proxy_header = "PROXY TCP4 203.0.113.9 10.0.0.1 1234 443\r\n"});
    ASSERT_TRUE(client.exchange(get("/"))) << client.problem();
    EXPECT_EQ(stage.backend.requests().back().header("X-Forwarded-For"), "203.0.113.9");
    EXPECT_FALSE(TlsClient(proxy.port("https")).ok()) << "no header";
    EXPECT_EQ(proxy.metric("rproxy_listener_connections_rejected_total",
                           {{"listener", "https"}, {"reason", "proxy_protocol"}}),
              1);
}

TEST(TlsClients, WhoAreNoneAreRefusedAndCounted) {
    Stage stage;
    const auto proxy = ProxyUnderTest::with_yaml(
        https(stage.pair, "    handshake: {timeout: 300ms, limit: 2}\n") + to(stage.backend));
    const auto count = [&](const std::string& result) {
        return proxy.metric("rproxy_tls_handshakes_total",
                            {{"listener", "https"}, {"result", result}});
    };
    RawClient plain(proxy.port("https"));
    const auto answer = plain.exchange(get("/"));
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 400);
    EXPECT_NE(answer->body.find("https"), std::string::npos);
    EXPECT_TRUE(plain.read_until_close());

    RawClient garbage(proxy.port("https"));
    garbage.send(pattern(300));
    EXPECT_TRUE(garbage.read_until_close());
    EXPECT_EQ(count("failure"), 2);

    RawClient(proxy.port("https")).close();  // a balancer's check
    const auto connections = [&] {
        return proxy.metric("rproxy_listener_connections_active", {{"listener", "https"}});
    };
    ASSERT_TRUE(wait_until([&] {
        return proxy.metric("rproxy_listener_connections_total", {{"listener", "https"}}) == 3 &&
               connections() == 0;
    }));
    RawClient slow(proxy.port("https"));
    slow.send("\x16\x03\x01");
    RawClient silent(proxy.port("https"));
    ASSERT_TRUE(wait_until([&] { return connections() == 2; }));
    RawClient beyond(proxy.port("https"));
    EXPECT_EQ(beyond.read_until_close(), "");
    EXPECT_EQ(count("refused"), 1);
    EXPECT_TRUE(slow.read_until_close());
    EXPECT_TRUE(silent.read_until_close());
    EXPECT_EQ(count("timeout"), 2);
    EXPECT_EQ(count("failure"), 2);
    EXPECT_TRUE(TlsClient(proxy.port("https")).exchange(get("/")));
}

TEST(TlsClients, FindTheSameRulesUnderEveryName) {
    Stage stage;
    const auto ca = stage.files.dir().write("ca.crt", authority().cert());
    const auto other = stage.files.add("b", authority().issue({.names = {"b.example.com"}}));
    const auto proxy = ProxyUnderTest::with_yaml(
        https(stage.pair + ", " + other, "    client_ca: \"" + ca + "\"\n") + to(stage.backend));
    const auto strong = ProxyUnderTest::with_yaml(
        https(stage.pair + ", " + other, "    ciphers: [ECDHE-ECDSA-AES256-GCM-SHA384]\n") +
        to(stage.backend));
    const auto alice = authority().issue({.names = {}, .common_name = "alice"});
    for (const std::string name : {"localhost", "b.example.com"}) {
        const TlsClient weak(strong.port("https"), {.server_name = name,
                                                    .version = TLS1_2_VERSION,
                                                    .ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256"});
        EXPECT_FALSE(weak.ok()) << name << " by a cipher that is not configured";
        TlsClient known(proxy.port("https"), {.server_name = name,
                                              .cert = alice.cert,
                                              .key = alice.key,
                                              .protocols = std::string("\x08http/1.1")});
        EXPECT_EQ(known.protocol(), "http/1.1") << name;
        EXPECT_TRUE(known.exchange(get("/"))) << name << ": " << known.problem();
        TlsClient nobody(proxy.port("https"), {.server_name = name});
        EXPECT_FALSE(nobody.exchange(get("/"))) << name;
    }
}

TEST(TlsClients, MayTimeOutWhileTheirHandshakeWaitsForItsTurn) {
    Stage stage;
    const auto proxy = ProxyUnderTest::with_yaml(
        https(stage.pair, "    handshake: {timeout: 30ms}\n") + to(stage.backend), {.workers = 1});
    std::vector<std::unique_ptr<RawClient>> clients;
    for (int i = 0; i < 60; ++i) {
        clients.push_back(std::make_unique<RawClient>(proxy.port("https")));
    }
    // One step is taken each turn: by the byte, they are more than there are turns.
    const std::string hello = std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 9) + pattern(491);
    for (const char c : hello) {
        for (const auto& client : clients) {
            client->send({&c, 1});  // fails once the proxy has closed
        }
    }
    for (const auto& client : clients) {
        client->read_until_close();
    }
    EXPECT_TRUE(wait_until([&] {
        return proxy.metric("rproxy_listener_connections_active", {{"listener", "https"}}) == 0;
    }));
}

}  // namespace
}  // namespace rproxy::test
