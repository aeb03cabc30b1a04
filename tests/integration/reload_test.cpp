#include "integration/setup.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>

#include <csignal>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>

namespace rproxy::test {
namespace {

/// What proves that a change has reached the workers: answers of the new backend.
void expect_answers(const RunningProxy& proxy, const std::string& body) {
    EXPECT_EQ(proxy.get().body, body);
    EXPECT_EQ(proxy.get().body, body);
}

/// The longest that the accept queues of the sockets of this process that listen on `port` may
/// grow; nothing if they differ or there are none.
std::optional<std::uint32_t> listen_queue(std::uint16_t port) {
    std::set<std::uint32_t> lengths;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        const int fd = std::stoi(entry.path().filename());
        int listens = 0;
        socklen_t size = sizeof listens;
        sockaddr_in address{};
        socklen_t address_size = sizeof address;
        if (::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || listens == 0 ||
            ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &address_size) != 0 ||
            address.sin_family != AF_INET || ntohs(address.sin_port) != port) {
            continue;
        }
        tcp_info info{};
        socklen_t info_size = sizeof info;
        if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &info_size) == 0) {
            lengths.insert(info.tcpi_sacked);  // of a listener: its backlog (net/ipv4/tcp.c)
        }
    }
    return lengths.size() == 1 ? std::optional(*lengths.begin()) : std::nullopt;
}

class Reload : public testing::Test {
protected:
    Reload() {
        old_.otherwise(respond(200, {}, "old"));
        new_.otherwise(respond(200, {}, "new"));
    }
    static double applied(const RunningProxy& proxy) {
        return proxy.metric("rproxy_config_reloads_total", {{"result", "applied"}}).value_or(-1);
    }

    FakeBackend old_;
    FakeBackend new_;
};

TEST_F(Reload, FollowsASwapOfTheConfigMap) {
    auto proxy = ProxyUnderTest::with_yaml(to(old_), {.config_map = true});
    expect_answers(proxy, "old");
    proxy.reload(to(new_));
    expect_answers(proxy, "new");
    proxy.reload(to(old_));  // once more: the watch outlives the first swap
    expect_answers(proxy, "old");
    EXPECT_EQ(applied(proxy), 3);
    EXPECT_TRUE(wait_until([&] { return proxy.metric("rproxy_config_snapshots_live") == 1; }));
}

TEST_F(Reload, FollowsAnEditInPlace) {
    auto proxy = ProxyUnderTest::with_yaml(to(old_));
    proxy.reload(to(new_));
    expect_answers(proxy, "new");
}

TEST_F(Reload, FollowsARename) {
    auto proxy = ProxyUnderTest::with_yaml(to(old_));
    for (const auto* backend : {&new_, &old_}) {
        replace_file(proxy.config_path(), RunningProxy::complete(to(*backend)));
        EXPECT_TRUE(
            wait_until([&] { return proxy.get().body == (backend == &new_ ? "new" : "old"); }));
    }
}

TEST_F(Reload, FollowsSighup) {
    ProxyProcess proxy(to(old_));
    proxy.write(to(new_));
    proxy.signal(SIGHUP);
    EXPECT_TRUE(wait_until([&] { return proxy.get().body == "new"; }));
    const auto generation = proxy.metric("rproxy_config_generation");
    const auto unchanged = [&] {
        return proxy.metric("rproxy_config_reloads_total", {{"result", "unchanged"}}).value_or(0);
    };
    const double before = unchanged();
    proxy.signal(SIGHUP);
    EXPECT_TRUE(wait_until([&] { return unchanged() == before + 1; }));
    EXPECT_EQ(proxy.metric("rproxy_config_generation"), generation);
}

TEST_F(Reload, ABrokenFileChangesNothingAndSaysWhere) {
    auto proxy = ProxyUnderTest::with_yaml(to(old_));
    const auto generation = proxy.metric("rproxy_config_generation");
    proxy.reload_rejected(
        "listeners:\n"
        "  - name: http\n"
        "    adress: 127.0.0.1:0\n" +
        to(new_) + "method: round_robbin\n");
    expect_answers(proxy, "old");
    EXPECT_EQ(proxy.metric("rproxy_config_generation"), generation);
    EXPECT_EQ(proxy.metric("rproxy_config_last_reload_successful"), 0);
    EXPECT_TRUE(proxy.admin().ready());
    const auto config = proxy.admin().json("/api/v1/config");
    EXPECT_EQ(config.at("last_result").at("result"), "rejected");
    const auto errors = config.at("last_result").at("errors");
    ASSERT_EQ(errors.size(), 2U) << errors;
    EXPECT_EQ(errors[0].at("file"), "rproxy.yaml");
    EXPECT_EQ(errors[0].at("line"), 4) << "one line of the log setting is in front";
    EXPECT_EQ(errors[0].at("column"), 5);
    EXPECT_NE(errors[0].at("hint").get<std::string>().find("address"), std::string::npos);
    EXPECT_EQ(errors[1].at("path"), "method");

    proxy.reload(to(new_));
    expect_answers(proxy, "new");
    EXPECT_EQ(proxy.metric("rproxy_config_last_reload_successful"), 1);
}

TEST_F(Reload, KeepsStateConnectionsAndCountersOfWhatStays) {
    FakeBackend crashed;
    auto proxy = ProxyUnderTest::with_yaml(to(old_, crashed) + kQuickChecks, {.workers = 1});
    crashed.stop();
    ASSERT_TRUE(proxy.wait_for_state(crashed.address(), "down"));
    auto client = proxy.connect();
    for (int i = 0; i < 5; ++i) {
        ASSERT_TRUE(client.exchange(get("/")));
    }
    const Labels kept{{"backend", old_.address()}};
    const auto total = proxy.metric("rproxy_backend_connections_total", kept);
    const auto requests = proxy.metric("rproxy_backend_requests_total", kept);
    const auto up_since = proxy.metric("rproxy_backend_up_since_timestamp_seconds", kept);
    const auto crash = proxy.metric("rproxy_backend_last_crash_timestamp_seconds");
    ASSERT_TRUE(crash);

    proxy.reload(to(old_, crashed, new_) + kQuickChecks + "retry: {limit: 1}\n");
    EXPECT_EQ(proxy.backend_state(crashed.address()), "down");
    EXPECT_EQ(proxy.metric("rproxy_backend_connections_total", kept), total);
    EXPECT_EQ(proxy.metric("rproxy_backend_requests_total", kept), requests);
    EXPECT_EQ(proxy.metric("rproxy_backend_up_since_timestamp_seconds", kept), up_since);
    EXPECT_EQ(proxy.metric("rproxy_backend_last_crash_timestamp_seconds"), crash);
    for (int i = 0; i < 6; ++i) {
        ASSERT_TRUE(client.exchange(get("/"))) << "the client's connection was closed";
    }
    EXPECT_EQ(proxy.metric("rproxy_backend_connections_total", kept), total)
        << "the pooled connection was not kept";
    EXPECT_EQ(proxy.metric("rproxy_listener_connections_total"), 1);
}

TEST_F(Reload, ARemovedBackendFinishesItsRequest) {
    old_.otherwise(stall_before_head());
    auto proxy = ProxyUnderTest::with_yaml(to(old_));
    auto client = proxy.connect();
    client.send(get("/"));
    ASSERT_TRUE(old_.wait_for_requests(1));
    proxy.reload(to(new_));
    expect_answers(proxy, "new");
    old_.release();
    const auto response = client.response();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->body, "late");
    const auto next = client.exchange(get("/"));
    ASSERT_TRUE(next);
    EXPECT_EQ(next->body, "new");
    EXPECT_TRUE(wait_until([&] { return old_.connections_open() == 0; }))
        << "connections to a removed backend are closed once they are idle";
    EXPECT_TRUE(wait_until([&] { return proxy.metric("rproxy_config_snapshots_live") == 1; }));
}

TEST_F(Reload, TwentyTimesClosesNeitherClientsNorTunnels) {
    FakeBackend tunnel;
    tunnel.otherwise(upgrade("echo"));
    const auto text = [&](int i) {
        return "pools:\n  web: {backends: [\"" + (i % 2 == 0 ? old_ : new_).address() +
               "\"]}\n  tunnel: {backends: [\"" + tunnel.address() +
               "\"]}\nroutes: [{path: /, pool: web}, {path: /tunnel, pool: tunnel}]\n";
    };
    auto proxy = ProxyUnderTest::with_yaml(text(0), {.config_map = true});
    auto client = proxy.connect();
    auto tunnelled = proxy.connect();
    tunnelled.send(get("/tunnel", "Connection: Upgrade\r\nUpgrade: echo\r\n"));
    ASSERT_TRUE(tunnelled.response());
    for (int i = 1; i <= 20; ++i) {
        proxy.reload(text(i));
        const auto response = client.exchange(get("/"));
        ASSERT_TRUE(response) << "after " << i << " reloads";
        EXPECT_EQ(response->body, i % 2 == 0 ? "old" : "new");
        const std::string ping = "ping " + std::to_string(i);
        tunnelled.send(ping);
        ASSERT_EQ(tunnelled.read_at_least(ping.size()), ping) << "after " << i << " reloads";
    }
    tunnelled.close();
    EXPECT_TRUE(wait_until([&] { return proxy.metric("rproxy_config_snapshots_live") == 1; }));
}

TEST_F(Reload, AddsAndRemovesListeners) {
    const TempDir dir;
    const std::string http = "{name: http, address: \"127.0.0.1:0\"}";
    const std::string more = "{name: more, address: \"unix:" + (dir / "more.sock") + "\"}";
    auto proxy = ProxyUnderTest::with_yaml("listeners: [" + http + "]\n" + to(old_));
    const auto port = proxy.port();
    auto client = proxy.connect();
    ASSERT_TRUE(client.exchange(get("/")));

    proxy.reload("listeners: [" + http + ", " + more + "]\n" + to(old_));
    EXPECT_EQ(proxy.port(), port);
    auto kept = RawClient::to_unix(dir / "more.sock");
    ASSERT_TRUE(kept.exchange(get("/")));

    proxy.reload("listeners: [" + http + "]\n" + to(old_));
    EXPECT_TRUE(wait_until([&] {
        try {
            RawClient::to_unix(dir / "more.sock");
            return false;
        } catch (const std::exception&) {
            return true;
        }
    })) << "a removed listener still accepts";
    EXPECT_TRUE(kept.exchange(get("/"))) << "a connection ends with its listener";
    EXPECT_TRUE(client.exchange(get("/")));

    proxy.reload("listeners: [" + http + ", " + more + "]\n" + to(old_));
    EXPECT_TRUE(RawClient::to_unix(dir / "more.sock").exchange(get("/")));
}

TEST_F(Reload, MovesAListener) {
    auto proxy = ProxyUnderTest::with_yaml(to(old_));
    const auto port = proxy.port();
    auto client = proxy.connect();
    ASSERT_TRUE(client.exchange(get("/")));
    // Another address of the same host, so that the kernel gives another free port.
    proxy.reload("listeners: [{name: http, address: \"127.0.0.2:0\"}]\n" + to(old_));
    EXPECT_TRUE(wait_until([&] {
        try {
            const RawClient refused(port);
            return false;
        } catch (const std::exception&) {
            return true;
        }
    }));
    EXPECT_TRUE(client.exchange(get("/")));
    RawClient moved(Socket::connect_tcp("127.0.0.2", proxy.port()));
    EXPECT_TRUE(moved.exchange(get("/")));
}

TEST_F(Reload, AnAddressThatIsTakenIsRejectedAndChangesNothing) {
    const Socket taken = Socket::listen_tcp(0);
    auto proxy = ProxyUnderTest::with_yaml(to(old_));
    proxy.reload_rejected(
        "listeners:\n  - {name: http, address: \"127.0.0.1:0\"}\n"
        "  - {name: more, address: \"127.0.0.1:" +
        std::to_string(taken.local_port()) + "\"}\n" + to(new_));
    expect_answers(proxy, "old");
    const auto errors = proxy.admin().json("/api/v1/config").at("last_result").at("errors");
    ASSERT_EQ(errors.size(), 1U);
    EXPECT_EQ(errors[0].at("path"), "listeners[1].address");
}

TEST_F(Reload, AnAddressThatIsTakenIsTriedAgainUntilItIsFree) {
    auto taken = std::make_unique<Socket>(Socket::listen_tcp(0));
    const auto port = std::to_string(taken->local_port());
    auto proxy = ProxyUnderTest::with_yaml(to(old_));
    proxy.reload_rejected("listeners: [{name: http, address: \"127.0.0.1:" + port + "\"}]\n" +
                          to(new_));
    taken.reset();
    EXPECT_TRUE(wait_until([&] { return proxy.metric("rproxy_config_generation") == 2; }));
    EXPECT_EQ(std::to_string(proxy.port()), port);
    EXPECT_EQ(proxy.metric("rproxy_config_reloads_total", {{"result", "rejected"}}), 1)
        << "a try that fails again is no rejection again";
    expect_answers(proxy, "new");
}

TEST_F(Reload, AChangedBacklogAppliesToOpenListeners) {
    const auto listener = [](int backlog) {
        return "listeners: [{name: http, address: \"127.0.0.1:0\", backlog: " +
               std::to_string(backlog) + "}]\n";
    };
    auto proxy = ProxyUnderTest::with_yaml(listener(64) + to(old_));
    const auto port = proxy.port();
    ASSERT_EQ(listen_queue(port), 64U);
    proxy.reload(listener(7) + to(old_));
    EXPECT_EQ(proxy.port(), port);
    EXPECT_TRUE(wait_until([&] { return listen_queue(port) == 7U; }));
}

TEST_F(Reload, ABrokenCopyIsReportedAndNotTheFilesFault) {
    const TempDir state;
    state.write("last-known-good", "rubbish");
    auto proxy = ProxyUnderTest::with_yaml("backends: [nonsense\n",
                                           {.await_ready = false, .state_dir = state.path()});
    const auto config = proxy.admin().json("/api/v1/config");
    EXPECT_EQ(config.at("source"), "none");
    EXPECT_NE(config.at("last_result").at("text").get<std::string>().find("[nonsense"),
              std::string::npos)
        << "the errors shown are the file's: " << config.at("last_result");
    EXPECT_EQ(proxy.get().status, 503);
    proxy.reload(to(new_));
    expect_answers(proxy, "new");
    EXPECT_NE(read_file(state / "last-known-good").find(new_.address()), std::string::npos)
        << "a good file takes its place";
}

TEST_F(Reload, AStartWithoutAFileSaysSoAndRecovers) {
    auto proxy = ProxyUnderTest::with_yaml({}, {.file_missing = true, .await_ready = false});
    EXPECT_EQ(proxy.admin().get("/livez").status, 200);
    EXPECT_EQ(proxy.admin().get("/readyz").status, 503);
    EXPECT_EQ(proxy.metric("rproxy_config_generation"), 0);
    EXPECT_EQ(proxy.metric("rproxy_config_info", {{"source", "default"}}), 1);
    EXPECT_EQ(proxy.admin().json("/api/v1/config").at("source"), "none");
    proxy.reload(to(new_));
    EXPECT_TRUE(wait_until([&] { return proxy.admin().ready(); }));
    expect_answers(proxy, "new");
    EXPECT_EQ(proxy.metric("rproxy_config_info", {{"source", "file"}}), 1);
}

TEST_F(Reload, RunsOnTheLastKnownGoodFile) {
    const TempDir state;
    {
        const auto first = ProxyUnderTest::with_yaml(to(old_), {.state_dir = state.path()});
    }
    auto proxy = ProxyUnderTest::with_yaml("backends: [nonsense\n", {.state_dir = state.path()});
    expect_answers(proxy, "old");
    const auto config = proxy.admin().json("/api/v1/config");
    EXPECT_EQ(config.at("source"), "last_known_good");
    EXPECT_EQ(config.at("last_result").at("result"), "rejected");
    EXPECT_EQ(proxy.metric("rproxy_config_last_reload_successful"), 0);
    proxy.reload(to(new_));
    expect_answers(proxy, "new");
    EXPECT_EQ(proxy.admin().json("/api/v1/config").at("source"), "file");
}

}  // namespace
}  // namespace rproxy::test
