#include "integration/tls_setup.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <atomic>
#include <ctime>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace rproxy::test {
namespace {

const TestAuthority& authority() {
    static const TestAuthority kAuthority;
    return kAuthority;
}

CertificatePair named(const std::string& name, CertificateRequest request = {}) {
    request.common_name = name;
    return authority().issue(request);
}

/// A pair of files that are swapped together, as kubelet swaps those of a Secret.
struct Stage {
    explicit Stage(const CertificatePair& pair = named("old")) { write(pair); }

    std::string yaml() const { return https(Certificates::entry(cert, key)) + to(backend); }
    void write(const CertificatePair& pair) {
        const std::string version = "..version_" + std::to_string(++versions);
        std::filesystem::create_directory(dir / version);
        write_file(dir / (version + "/tls.crt"), pair.cert);
        write_file(dir / (version + "/tls.key"), pair.key);
        std::filesystem::create_symlink(version, dir / "..data_tmp");
        std::filesystem::rename(dir / "..data_tmp", dir / "..data");
    }

    FakeBackend backend;
    TempDir dir;
    int versions{0};
    std::string cert{dir / "..data/tls.crt"};
    std::string key{dir / "..data/tls.key"};
};

std::string shown(const RunningProxy& proxy) {
    return TlsClient(proxy.port("https")).subject();
}

TEST(TlsFiles, AreAppliedWithoutTouchingConnections) {
    Stage stage;
    const auto proxy = ProxyUnderTest::with_yaml(stage.yaml());
    TlsClient client(proxy.port("https"));
    ASSERT_TRUE(client.exchange(get("/")));
    stage.write(named("new", {.ends = std::chrono::hours{48}}));
    ASSERT_TRUE(wait_until([&] { return shown(proxy) == "CN=new"; }));
    EXPECT_TRUE(client.exchange(get("/"))) << "a connection of before";
    const TlsClient again(proxy.port("https"), {}, &client);
    EXPECT_TRUE(again.resumed()) << "and its session";
    EXPECT_EQ(proxy.metric("rproxy_config_generation"), 1) << "the configuration is the same";
    EXPECT_EQ(proxy.metric("rproxy_config_last_reload_successful"), 1);
}

struct Wrong {
    std::string name;
    std::string cert;
    std::string key;
    std::string message;  ///< Part of what the user is told.
};

std::vector<Wrong> wrong_pairs() {
    const auto good = named("good");
    const auto other = named("other");
    const auto expired =
        named("late", {.begins = std::chrono::hours{-48}, .ends = std::chrono::hours{-1}});
    const auto early =
        named("early", {.begins = std::chrono::hours{24}, .ends = std::chrono::hours{48}});
    const auto weak = named("weak", {.key = CertificateRequest::Key::Rsa1024});
    return {
        {"wrong key", good.cert, other.key, "is not the key of the certificate (CN=good)"},
        {"truncated certificate", good.cert.substr(0, good.cert.size() / 2), good.key,
         "is cut off or damaged in block 1"},
        {"truncated chain", good.cert + authority().cert().substr(0, 200), good.key,
         "is cut off or damaged in block 2"},
        {"truncated key", good.cert, good.key.substr(0, good.key.size() / 2),
         "tls.key is cut off or damaged"},
        {"empty certificate", "", good.key, "tls.crt is empty"},
        {"empty key", good.cert, "", "tls.key is empty"},
        {"encrypted key", good.cert, encrypted_key(good.key), "holds an encrypted key"},
        {"swapped", good.key, good.cert, "holds no certificate"},
        {"certificate for key", good.cert, good.cert, "are 'cert' and 'key' swapped?"},
        {"not PEM", "\x30\x82\x01\x0a" + std::string(200, 'x'), good.key, "is DER, not PEM"},
        {"leaf last", authority().cert() + good.cert, good.key, "the leaf must come first"},
        {"expired", expired.cert, expired.key, "has expired on "},
        {"not yet valid", early.cert, early.key, "is not valid before "},
        {"weak", weak.cert, weak.key, "has a key of 1024 bits, which is too weak"},
    };
}

TEST(TlsFiles, ThatAreWrongAreRejectedWholeAndLoudly) {
    Stage stage;
    const auto proxy = ProxyUnderTest::with_yaml(stage.yaml());
    double rejections = 0;
    for (const auto& each : wrong_pairs()) {
        stage.write({each.cert, each.key});
        ASSERT_TRUE(wait_until([&] {
            const auto config = proxy.admin().json("/api/v1/config");
            return config["certificates"]["errors"].dump().find(each.message) != std::string::npos;
        })) << each.name
            << ": " << proxy.admin().json("/api/v1/config")["certificates"].dump(1);
        EXPECT_EQ(shown(proxy), "CN=old") << each.name;
        EXPECT_EQ(proxy.metric("rproxy_config_last_reload_successful"), 0) << each.name;
        const auto rejected =
            proxy.metric("rproxy_config_reloads_total", {{"result", "rejected"}}).value_or(0);
        EXPECT_GT(rejected, rejections) << each.name;
        rejections = rejected;
    }
    stage.write(named("new"));
    ASSERT_TRUE(wait_until([&] { return shown(proxy) == "CN=new"; }));
    EXPECT_EQ(proxy.metric("rproxy_config_last_reload_successful"), 1);
    EXPECT_TRUE(proxy.admin().json("/api/v1/config")["certificates"]["errors"].empty());
}

TEST(TlsFiles, ThatAreMissingAreWaitedFor) {
    Stage stage;
    auto proxy = ProxyUnderTest::with_yaml(stage.yaml());
    const auto late_cert = stage.dir / "late.crt";
    const auto late_key = stage.dir / "late.key";
    proxy.reload_rejected(https(Certificates::entry(late_cert, late_key)) + to(stage.backend));
    EXPECT_EQ(shown(proxy), "CN=old");
    const auto pair = named("late");
    write_file(late_key, pair.key);
    write_file(late_cert, pair.cert);
    EXPECT_TRUE(wait_until([&] { return shown(proxy) == "CN=late"; }));
}

TEST(TlsFiles, OutOfDateStillServeAStart) {
    Stage stage(named("late", {.begins = std::chrono::hours{-48}, .ends = std::chrono::hours{-1}}));
    auto proxy = ProxyUnderTest::with_yaml(stage.yaml());
    EXPECT_EQ(shown(proxy), "CN=late") << "nothing better is there";
    proxy.reload(RunningProxy::complete(stage.yaml() + "slow_start: 1s\n"));
    EXPECT_EQ(shown(proxy), "CN=late") << "what runs is no reason to refuse another change";
    const auto not_after = proxy.metric("rproxy_tls_certificate_not_after_timestamp_seconds",
                                        {{"listener", "https"}, {"name", "localhost"}});
    EXPECT_LT(not_after.value_or(1e12), static_cast<double>(std::time(nullptr)));
}

TEST(TlsFiles, AreSwappedUnderLoadWithoutAFailedRequest) {
    Stage stage;
    const auto proxy = ProxyUnderTest::with_yaml(stage.yaml());
    std::atomic<bool> stop{false};
    std::atomic<int> failed{0};
    std::atomic<int> served{0};
    std::vector<std::thread> clients;
    for (int i = 0; i < 3; ++i) {
        clients.emplace_back([&, keeps = i == 0] {
            std::unique_ptr<TlsClient> client;
            while (!stop) {
                if (!client || !keeps) {
                    client = std::make_unique<TlsClient>(proxy.port("https"));
                }
                ++(client->exchange(get("/")) ? served : failed);
            }
        });
    }
    for (int i = 0; i < 10; ++i) {
        const std::string name = "n" + std::to_string(i);
        stage.write(named(name));
        EXPECT_TRUE(wait_until([&] { return shown(proxy) == "CN=" + name; }));
    }
    stop = true;
    for (auto& client : clients) {
        client.join();
    }
    EXPECT_EQ(failed, 0);
    EXPECT_GT(served, 100);
}

TEST(TlsFiles, NoKeyIsShownByTheAdminPort) {
    Stage stage;
    const auto proxy = ProxyUnderTest::with_yaml(stage.yaml());
    const std::string secret = read_file(stage.key).substr(40, 60);
    for (const std::string path :
         {"/api/v1/config", "/api/v1/status", "/api/v1/events", "/metrics"}) {
        EXPECT_EQ(proxy.admin().get(path).raw.find(secret), std::string::npos) << path;
    }
    const auto listed = proxy.admin().json("/api/v1/config")["certificates"]["in_use"][0];
    EXPECT_EQ(listed["listener"], "https");
    EXPECT_EQ(listed["names"][0], "localhost");
    EXPECT_EQ(listed["key"], "ECDSA");
}

}  // namespace
}  // namespace rproxy::test
