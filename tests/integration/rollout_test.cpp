#include "integration/tls_setup.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <list>
#include <map>
#include <string>
#include <thread>

namespace rproxy::test {
namespace {

/// Clients that never stop asking, each over one connection, until the end of their life.
class Load {
public:
    explicit Load(const RunningProxy& proxy) : port_(proxy.port()) {
        for (auto& thread : threads_) {
            thread = std::thread([this] { run(); });
        }
    }
    ~Load() {
        stopping_.store(true);
        for (auto& thread : threads_) {
            thread.join();
        }
    }
    Load(const Load&) = delete;
    Load& operator=(const Load&) = delete;
    Load(Load&&) = delete;
    Load& operator=(Load&&) = delete;

    std::size_t lost() const { return lost_.load(); }

private:
    void run() {
        RawClient client(port_);
        while (!stopping_.load()) {
            if (!client.exchange(get("/"))) {
                lost_.fetch_add(1);
                client = RawClient(port_);
            }
        }
    }

    const std::uint16_t port_;
    std::array<std::thread, 3> threads_;
    std::atomic<bool> stopping_{false};
    std::atomic<std::size_t> lost_{0};
};

std::string rollout(const std::string& settings) {
    return "rollout: {" + settings + "}\n";
}

/// So long that only a verdict ends it within a test.
const std::string kHalfForAnHour = rollout("canary: 50%, for: 1h");

class Rollout : public testing::Test {
protected:
    Rollout() {
        old_.otherwise(respond(200, {}, "old"));
        new_.otherwise(respond(200, {}, "new"));
    }

    static nlohmann::json config(const RunningProxy& proxy) {
        return proxy.admin().json("/api/v1/config");
    }
    static bool runs(const RunningProxy& proxy) { return !config(proxy).at("rollout").is_null(); }
    static double ended(const RunningProxy& proxy, const std::string& result) {
        return proxy.metric("rproxy_config_rollouts_total", {{"result", result}}).value_or(-1);
    }
    static bool compares(const RunningProxy& proxy) {
        const auto shown = config(proxy).at("rollout");
        return !shown.is_null() && shown.at("stage") == "comparing";
    }
    /// What a client who asks often sees.
    static std::set<std::string> answers(const RunningProxy& proxy, int requests = 60) {
        std::set<std::string> bodies;
        auto client = proxy.connect();
        for (int i = 0; i < requests; ++i) {
            const auto response = client.exchange(get("/"));
            bodies.insert(response ? response->body : "nothing");
        }
        return bodies;
    }
    static std::vector<std::string> results(const RunningProxy& proxy) {
        std::vector<std::string> found;
        const auto events = proxy.admin().json("/api/v1/events");
        for (const auto& event : events.at("events")) {
            if (event.at("kind") == "config") {
                found.push_back(event.at("result").get<std::string>());
            }
        }
        return found;
    }

    FakeBackend old_;
    FakeBackend new_;
};

TEST_F(Rollout, AGoodChangeTakesItsShareAndIsPromoted) {
    const TempDir state;
    auto proxy = ProxyUnderTest::with_yaml(to(old_), {.state_dir = state.path()});
    const auto hash = config(proxy).at("hash").get<std::string>();
    {
        const Load load(proxy);
        proxy.write(to(new_) + rollout("canary: 50%, for: 1500ms"));
        ASSERT_TRUE(wait_until([&] { return compares(proxy); }));
        const auto shown = config(proxy);
        EXPECT_EQ(shown.at("hash"), hash) << "the old one is in force until the promotion";
        EXPECT_EQ(shown.at("generation"), 1);
        EXPECT_EQ(shown.at("rollout").at("share"), 0.5);
        EXPECT_GT(shown.at("rollout").at("seconds_left"), 0);
        EXPECT_FALSE(shown.at("rollout").at("changes").empty());
        EXPECT_EQ(proxy.metric("rproxy_config_rollout_active"), 1);
        EXPECT_EQ(proxy.metric("rproxy_config_rollout_share"), 0.5);
        EXPECT_EQ(proxy.backend_state(new_.address()), "up") << "its backends are to be seen";
        EXPECT_EQ(read_file(state / "last-known-good").find(new_.address()), std::string::npos);
        EXPECT_EQ(answers(proxy), (std::set<std::string>{"old", "new"}));
        ASSERT_TRUE(wait_until([&] { return ended(proxy, "promoted") == 1; }));
        EXPECT_EQ(load.lost(), 0U);
    }
    EXPECT_EQ(answers(proxy), (std::set<std::string>{"new"}));
    EXPECT_EQ(config(proxy).at("generation"), 2);
    EXPECT_EQ(results(proxy),
              (std::vector<std::string>{"applied", "canary", "promoted", "applied"}));
    EXPECT_NE(read_file(state / "last-known-good").find(new_.address()), std::string::npos);
    EXPECT_GT(proxy.metric("rproxy_config_rollout_requests_total", {{"side", "stable"}}), 0);
    EXPECT_GT(proxy.metric("rproxy_config_rollout_requests_total", {{"side", "candidate"}}), 0);
    EXPECT_EQ(proxy.metric("rproxy_config_rollout_failures_total"), 0);
    EXPECT_TRUE(wait_until([&] { return proxy.metric("rproxy_config_snapshots_live") == 1; }));
}

TEST_F(Rollout, AFailingChangeIsRolledBackWithItsEvidence) {
    const TempDir state;
    new_.otherwise(respond(500, {}, "broken"));
    auto proxy = ProxyUnderTest::with_yaml(to(old_), {.state_dir = state.path()});
    const auto before = config(proxy);
    const Load load(proxy);
    proxy.write(to(new_) + kHalfForAnHour);
    ASSERT_TRUE(wait_until([&] { return ended(proxy, "rolled_back") == 1; }));
    EXPECT_EQ(answers(proxy), (std::set<std::string>{"old"}));
    EXPECT_EQ(load.lost(), 0U);
    const auto after = config(proxy);
    EXPECT_EQ(after.at("hash"), before.at("hash"));
    EXPECT_EQ(after.at("generation"), before.at("generation"));
    EXPECT_TRUE(after.at("rollout").is_null());
    EXPECT_EQ(after.at("last_result").at("result"), "rolled_back");
    const auto evidence =
        after.at("last_result").at("errors").at(0).at("message").get<std::string>();
    EXPECT_NE(evidence.find("requests failed (100%)"), std::string::npos) << evidence;
    EXPECT_EQ(proxy.metric("rproxy_config_reloads_total", {{"result", "rolled_back"}}), 1);
    EXPECT_EQ(proxy.metric("rproxy_config_last_reload_successful"), 0);
    EXPECT_GE(proxy.metric("rproxy_config_rollout_failures_total", {{"side", "candidate"}}), 5);
    EXPECT_EQ(proxy.metric("rproxy_config_rollout_failures_total", {{"side", "stable"}}), 0);
    EXPECT_EQ(results(proxy).back(), "rolled_back");
    EXPECT_EQ(proxy.backend_state(new_.address()), "") << "gone with its configuration";
    EXPECT_EQ(read_file(state / "last-known-good").find(new_.address()), std::string::npos);
    EXPECT_TRUE(wait_until([&] { return proxy.metric("rproxy_config_snapshots_live") == 1; }));
}

TEST_F(Rollout, BackendsThatDoNotAnswerGetNoRequestAtAll) {
    new_.stop();
    auto proxy = ProxyUnderTest::with_yaml(to(old_));
    const Load load(proxy);
    proxy.write(to(new_) + kHalfForAnHour);
    ASSERT_TRUE(wait_until([&] { return ended(proxy, "rolled_back") == 1; }));
    EXPECT_EQ(proxy.metric("rproxy_config_rollout_requests_total", {{"side", "candidate"}}), 0);
    EXPECT_NE(config(proxy).at("last_result").dump().find("no healthy backend"), std::string::npos);
}

TEST_F(Rollout, AWrongHealthCheckTakesNoBackendFromTheOthers) {
    old_.on("/missing", respond(404));
    auto proxy = ProxyUnderTest::with_yaml(to(old_));
    const Load load(proxy);
    proxy.write(to(old_) + "health_check: {path: /missing, interval: 100ms}\n" + kHalfForAnHour);
    ASSERT_TRUE(wait_until([&] { return ended(proxy, "rolled_back") == 1; }));
    EXPECT_EQ(proxy.backend_state(old_.address()), "up");
    EXPECT_EQ(proxy.metric("rproxy_backend_crashes_total"), 0);
    EXPECT_EQ(answers(proxy), (std::set<std::string>{"old"}));
}

TEST_F(Rollout, RedirectsToHttpsSayNothingOfEitherSide) {
    const std::string listeners =
        "listeners:\n- {name: http, address: 127.0.0.1:0}\n"
        "- {name: redirect, address: 0.0.0.0:0, https_redirect: {}}\n";
    auto proxy = ProxyUnderTest::with_yaml(listeners + to(old_));
    proxy.write(listeners + to(new_) + kHalfForAnHour);
    ASSERT_TRUE(wait_until([&] { return compares(proxy); }));
    for (int i = 0; i < 20; ++i) {
        RawClient client(proxy.port("redirect"));
        const auto answer = client.exchange(get("/"));
        ASSERT_TRUE(answer);
        EXPECT_EQ(answer->status, 308);
    }
    EXPECT_EQ(proxy.metric("rproxy_config_rollout_requests_total"), 0);
    EXPECT_EQ(proxy.metric("rproxy_config_rollout_failures_total"), 0);
}

TEST_F(Rollout, ASlowChangeIsRolledBack) {
    auto proxy = ProxyUnderTest::with_yaml(to(old_));
    const Load load(proxy);
    new_.otherwise(slow(std::chrono::milliseconds{60}, respond(200, {}, "new")));
    proxy.write(to(new_) + rollout("canary: 50%, for: 6s"));
    ASSERT_TRUE(wait_until([&] { return ended(proxy, "rolled_back") == 1; }));
    EXPECT_NE(config(proxy).at("last_result").dump().find("it is slower"), std::string::npos);
}

TEST_F(Rollout, AChangeThatNeverAnswersIsRolledBackBeforeItsTimeoutsAreOver) {
    auto proxy = ProxyUnderTest::with_yaml(to(old_));
    new_.otherwise(stall_before_head());
    proxy.write(to(new_) + rollout("canary: 50%, for: 2s"));
    ASSERT_TRUE(wait_until([&] { return compares(proxy); }));
    std::list<RawClient> clients;
    for (int i = 0; i < 40; ++i) {
        clients.emplace_back(proxy.port()).send(get("/"));
    }
    // Some give up, some wait on.
    while (clients.size() > 20) {
        clients.pop_front();
    }
    ASSERT_TRUE(wait_until([&] { return !runs(proxy); }));
    EXPECT_EQ(ended(proxy, "rolled_back"), 1);
    EXPECT_NE(config(proxy).at("last_result").dump().find("get no answer"), std::string::npos);
}

TEST_F(Rollout, WhatItsOwnChecksHaveFoundHoldsAfterThePromotion) {
    const auto checked = [](const std::string& path) {
        return "when_all_down: fail\nhealth_check: {interval: 1h, path: " + path + "}\n";
    };
    new_.on("/old-check", respond(404));
    auto proxy = ProxyUnderTest::with_yaml(to(old_) + checked("/old-check"));
    proxy.write(to(new_) + checked("/new-check") + rollout("canary: 50%, for: 200ms"));
    ASSERT_TRUE(wait_until([&] { return ended(proxy, "promoted") == 1; }));
    EXPECT_EQ(answers(proxy), (std::set<std::string>{"new"}));
    EXPECT_EQ(proxy.backend_state(new_.address()), "up");
}

TEST_F(Rollout, ItsBackendsDoNotMakeTheOnlyOneThatRunsAnOutlier) {
    auto proxy = ProxyUnderTest::with_yaml(to(old_) + kNoChecks);
    proxy.write(to(old_, new_) + kNoChecks + rollout("canary: 0.1%, for: 1h"));
    ASSERT_TRUE(wait_until([&] { return compares(proxy); }));
    old_.otherwise(respond(503));
    answers(proxy, 20);
    EXPECT_EQ(proxy.backend_state(old_.address()), "up");
}

TEST_F(Rollout, ARouteThatIsLostIsAFailure) {
    auto proxy = ProxyUnderTest::with_yaml(to(old_));
    const Load load(proxy);
    proxy.write("pools:\n  web: {backends: [\"" + old_.address() +
                "\"]}\nroutes: [{path: /elsewhere, pool: web}]\n" + kHalfForAnHour);
    ASSERT_TRUE(wait_until([&] { return ended(proxy, "rolled_back") == 1; }));
}

TEST_F(Rollout, ANewFileReplacesTheCandidateAndIsComparedWithTheOldOne) {
    FakeBackend newer;
    newer.otherwise(respond(200, {}, "newer"));
    auto proxy = ProxyUnderTest::with_yaml(to(old_));
    proxy.write(to(new_) + kHalfForAnHour);
    ASSERT_TRUE(wait_until([&] { return compares(proxy); }));
    proxy.write(to(newer) + kHalfForAnHour);
    ASSERT_TRUE(wait_until([&] { return ended(proxy, "replaced") == 1 && compares(proxy); }));
    EXPECT_EQ(answers(proxy), (std::set<std::string>{"old", "newer"}));
    EXPECT_EQ(config(proxy).at("generation"), 1);
    // One without a rollout applies at once, as it says.
    proxy.reload(to(newer));
    EXPECT_EQ(answers(proxy), (std::set<std::string>{"newer"}));
    EXPECT_EQ(ended(proxy, "replaced"), 2);
    EXPECT_FALSE(runs(proxy));
    EXPECT_TRUE(wait_until([&] { return proxy.metric("rproxy_config_snapshots_live") == 1; }));
}

TEST_F(Rollout, TheOldFileEndsItQuietly) {
    auto proxy = ProxyUnderTest::with_yaml(to(old_));
    proxy.write(to(new_) + kHalfForAnHour);
    ASSERT_TRUE(wait_until([&] { return compares(proxy); }));
    proxy.write(to(old_));
    ASSERT_TRUE(wait_until([&] { return ended(proxy, "abandoned") == 1; }));
    EXPECT_EQ(answers(proxy), (std::set<std::string>{"old"}));
    EXPECT_EQ(config(proxy).at("last_result").at("result"), "unchanged");
    EXPECT_EQ(proxy.metric("rproxy_config_last_reload_successful"), 1);
}

TEST_F(Rollout, AConnectionKeepsABackendOnEachSide) {
    FakeBackend second;
    second.otherwise(respond(200, {}, "second"));
    const std::string by = "selection: {by: connection}\n";
    auto proxy = ProxyUnderTest::with_yaml(to(old_, second) + by);
    proxy.write(to(new_) + by + kHalfForAnHour);
    ASSERT_TRUE(wait_until([&] { return compares(proxy); }));
    for (int client = 0; client < 4; ++client) {
        const auto bodies = answers(proxy);
        EXPECT_EQ(bodies.size(), 2U);
        EXPECT_TRUE(bodies.contains("new"));
    }
}

/// Each side has a backend of its own, which takes one request at a time and binds its clients.
class StickyRollout : public Rollout {
protected:
    StickyRollout() : proxy_(ProxyUnderTest::with_yaml(yaml(old_), {.workers = 1})) {
        for (FakeBackend* const backend : {&old_, &new_}) {
            backend->on("/hold", stall_before_head());
        }
        proxy_.write(yaml(new_) + kHalfForAnHour);
        EXPECT_TRUE(wait_until([&] { return compares(proxy_); }));
        auto client = proxy_.connect();
        EXPECT_TRUE(wait_until([&] {
            const auto answer = client.exchange(get("/"));
            const auto cookie = answer ? answer->header("Set-Cookie").value_or("") : "";
            cookies_[answer ? answer->body : ""] = cookie.substr(0, cookie.find(';'));
            return cookies_.size() == 2;
        }));
    }
    static std::string yaml(const FakeBackend& backend) {
        return "backends: [{address: \"" + backend.address() +
               "\", max_connections: 1}]\nsticky: {cookie: id}\n"
               "queue: {limit: 10, timeout: 1h}\n" +
               kNoChecks;
    }
    /// Sent by the client that is bound to `side`, and not answered yet.
    RawClient ask(const std::string& side, const std::string& path = "/") {
        auto client = proxy_.connect();
        client.send(get(path, "Cookie: " + cookies_[side] + "\r\n"));
        return client;
    }
    static std::string body_of(RawClient& client) {
        const auto answer = client.response();
        return answer ? answer->body : "nothing";
    }

    ProxyUnderTest proxy_;
    std::map<std::string, std::string> cookies_;  // by side
};

TEST_F(StickyRollout, ASessionStaysOnTheSideThatHasItsBackend) {
    for (int i = 0; i < 20; ++i) {
        for (const std::string side : {"old", "new"}) {
            auto client = ask(side);
            EXPECT_EQ(body_of(client), side);
        }
    }
    proxy_.write(yaml(old_));
    ASSERT_TRUE(wait_until([&] { return ended(proxy_, "abandoned") == 1; }));
    auto client = ask("new");
    EXPECT_EQ(body_of(client), "old") << "there is no other any more";
}

TEST_F(StickyRollout, ARequestThatWaitsForOneSideDoesNotHoldUpTheOther) {
    const auto waiting = [&](double count) {
        return wait_until([&] { return proxy_.metric("rproxy_pool_queue_length") == count; });
    };
    const auto old_holder = ask("old", "/hold");
    const auto new_holder = ask("new", "/hold");
    ASSERT_TRUE(wait_until([&] { return proxy_.metric("rproxy_backend_requests_active") == 2; }));
    auto first = ask("new");
    ASSERT_TRUE(waiting(1));
    auto second = ask("old");
    ASSERT_TRUE(waiting(2));
    auto third = ask("old");
    ASSERT_TRUE(waiting(3));
    old_.release();
    EXPECT_EQ(body_of(second), "old");
    EXPECT_EQ(body_of(third), "old");
    new_.release();
    EXPECT_EQ(body_of(first), "new");
}

/// Each side has a certificate of its own; the candidate's breaks while they are compared.
class TlsRollout : public Rollout {
protected:
    TlsRollout()
        : stable_(files_.add("stable", authority_.issue())),
          candidate_(files_.add("candidate", authority_.issue())) {}
    static bool rejects(const RunningProxy& proxy) {
        return proxy.metric("rproxy_config_reloads_total", {{"result", "rejected"}}) > 0;
    }

    const TestAuthority authority_;
    const Certificates files_;
    const std::string stable_;
    const std::string candidate_;
};

TEST_F(TlsRollout, WhatTheNextStartWouldRefuseIsNotPromoted) {
    auto proxy = ProxyUnderTest::with_yaml(https(stable_) + to(old_));
    proxy.write(https(candidate_) + to(new_) + rollout("canary: 50%, for: 2s"));
    ASSERT_TRUE(wait_until([&] { return compares(proxy); }));
    files_.dir().write("candidate.crt", "broken");
    ASSERT_TRUE(wait_until([&] { return ended(proxy, "rolled_back") == 1; }));
    EXPECT_EQ(ended(proxy, "promoted"), 0);
    EXPECT_EQ(config(proxy).at("generation"), 1);
    EXPECT_EQ(config(proxy).at("last_result").at("result"), "rejected");
    EXPECT_NE(proxy.admin().json("/api/v1/events").dump().find("cannot be promoted"),
              std::string::npos);
    files_.add("candidate", authority_.issue());
    EXPECT_TRUE(wait_until([&] { return ended(proxy, "promoted") == 1; }));
}

TEST_F(TlsRollout, ABrokenCertificateOfTheCandidateDoesNotStopTheOthersRotation) {
    auto proxy = ProxyUnderTest::with_yaml(https(stable_) + to(old_));
    proxy.write(https(candidate_) + to(new_) + kHalfForAnHour);
    ASSERT_TRUE(wait_until([&] { return compares(proxy); }));
    const auto expires = [&] {
        return proxy.metric("rproxy_tls_certificate_not_after_timestamp_seconds");
    };
    const auto before = expires();
    ASSERT_TRUE(before);
    files_.dir().write("candidate.crt", "broken");
    ASSERT_TRUE(wait_until([&] { return rejects(proxy); }));
    files_.add("stable", authority_.issue({.ends = std::chrono::hours{240}}));
    EXPECT_TRUE(wait_until([&] { return expires() > before; }));
    EXPECT_TRUE(runs(proxy));
}

TEST_F(Rollout, ABrokenFileLeavesItAlone) {
    auto proxy = ProxyUnderTest::with_yaml(to(old_));
    proxy.write(to(new_) + kHalfForAnHour);
    ASSERT_TRUE(wait_until([&] { return compares(proxy); }));
    proxy.reload_rejected("nonsense: true\n");
    EXPECT_TRUE(compares(proxy));
    EXPECT_EQ(answers(proxy), (std::set<std::string>{"old", "new"}));
}

TEST_F(Rollout, ABrokenFileStaysToBeSeenWhenItIsPromoted) {
    auto proxy = ProxyUnderTest::with_yaml(to(old_));
    proxy.write(to(new_) + rollout("canary: 50%, for: 1s"));
    ASSERT_TRUE(wait_until([&] { return runs(proxy); }));
    proxy.reload_rejected("nonsense: true\n");
    ASSERT_TRUE(wait_until([&] { return ended(proxy, "promoted") == 1; }));
    EXPECT_EQ(config(proxy).at("last_result").at("result"), "rejected");
    EXPECT_EQ(proxy.metric("rproxy_config_last_reload_successful"), 0);
}

TEST_F(Rollout, TheSameFileAgainDoesNotBeginItAnew) {
    auto proxy = ProxyUnderTest::with_yaml(to(old_));
    proxy.write(to(new_) + kHalfForAnHour);
    ASSERT_TRUE(wait_until([&] { return compares(proxy); }));
    proxy.reload_rejected("nonsense: true\n");
    proxy.write(to(new_) + kHalfForAnHour);
    ASSERT_TRUE(
        wait_until([&] { return config(proxy).at("last_result").at("result") == "unchanged"; }));
    EXPECT_EQ(ended(proxy, "replaced"), 0);
    EXPECT_TRUE(compares(proxy));
}

TEST_F(Rollout, SighupDoesNotBringBackAFileThatWasReplaced) {
    auto proxy = ProxyUnderTest::with_yaml(to(old_));
    Socket taken = Socket::listen_tcp(0);
    proxy.reload_rejected("listeners: [{name: http, address: \"127.0.0.1:" +
                          std::to_string(taken.local_port()) + "\"}]\n" + to(old_));
    proxy.write(to(new_) + kHalfForAnHour);
    ASSERT_TRUE(wait_until([&] { return compares(proxy); }));
    taken.close();
    proxy.reload_now();
    ASSERT_TRUE(wait_until([&] {
        return proxy.metric("rproxy_config_reloads_total", {{"result", "unchanged"}}) == 1;
    }));
    EXPECT_TRUE(compares(proxy));
}

TEST_F(Rollout, ListenersApplyAtOnceAndNoneIsTakenAwayBeforeThePromotion) {
    const TempDir dir;
    const auto listener = [&](const std::string& name) {
        return "listeners: [{name: http, address: \"unix:" + (dir / name) + "\"}]\n";
    };
    auto proxy = ProxyUnderTest::with_yaml(listener("before") + to(old_));
    proxy.write(listener("after") + to(new_) + kHalfForAnHour);
    ASSERT_TRUE(wait_until([&] { return compares(proxy); }));
    EXPECT_TRUE(RawClient::to_unix(dir / "before").exchange(get("/")));
    EXPECT_TRUE(RawClient::to_unix(dir / "after").exchange(get("/")));
    EXPECT_NE(config(proxy).at("rollout").at("applied_at_once").dump().find("after"),
              std::string::npos);
    proxy.write(listener("before") + to(old_));
    ASSERT_TRUE(wait_until([&] { return ended(proxy, "abandoned") == 1; }));
    EXPECT_TRUE(RawClient::to_unix(dir / "before").exchange(get("/")));
    EXPECT_TRUE(wait_until([&] {
        try {
            RawClient::to_unix(dir / "after");
            return false;
        } catch (const std::exception&) {
            return true;
        }
    })) << "the listener of a configuration that was not promoted is still there";
}

TEST_F(Rollout, TheFirstConfigurationAndWhatCannotBeSplitApplyAtOnce) {
    auto proxy = ProxyUnderTest::with_yaml(to(old_) + kHalfForAnHour);
    EXPECT_FALSE(runs(proxy));
    EXPECT_EQ(answers(proxy), (std::set<std::string>{"old"}));
    proxy.reload(to(old_) + kHalfForAnHour + "timeouts: {client_idle: 50s}\n");
    EXPECT_FALSE(runs(proxy));
}

TEST_F(Rollout, WhereNothingIsAliveItAppliesAtOnce) {
    auto proxy = ProxyUnderTest::with_yaml(to(old_) + kQuickChecks);
    old_.stop();
    ASSERT_TRUE(proxy.wait_for_state(old_.address(), "down"));
    proxy.reload(to(new_) + kHalfForAnHour);
    EXPECT_EQ(answers(proxy), (std::set<std::string>{"new"}));
}

TEST_F(Rollout, ARolledBackFileIsNotTriedAgainUntilItsBytesChange) {
    new_.stop();
    auto proxy = ProxyUnderTest::with_yaml(to(old_));
    const std::string text = to(new_) + rollout("canary: 50%, for: 100ms");
    proxy.write(text);
    ASSERT_TRUE(wait_until([&] { return ended(proxy, "rolled_back") == 1; }));
    new_.start_again();
    const auto result = [&] { return config(proxy).at("last_result").at("result"); };
    std::filesystem::remove(proxy.config_path());
    ASSERT_TRUE(wait_until([&] { return result() == "rejected"; }));
    proxy.write(text);
    ASSERT_TRUE(wait_until([&] { return result() == "rolled_back"; }));
    EXPECT_FALSE(runs(proxy));
    proxy.write(text + "# once more\n");
    EXPECT_TRUE(wait_until([&] { return ended(proxy, "promoted") == 1; }));
}

TEST_F(Rollout, ARestartTriesAFileOutBesideTheLastKnownGoodOne) {
    const TempDir state;
    {
        const auto first = ProxyUnderTest::with_yaml(to(old_), {.state_dir = state.path()});
    }
    const std::string text = to(new_) + kHalfForAnHour;
    auto proxy = ProxyUnderTest::with_yaml(text, {.state_dir = state.path()});
    EXPECT_EQ(config(proxy).at("source"), "last_known_good");
    ASSERT_TRUE(wait_until([&] { return compares(proxy); }));
    EXPECT_EQ(answers(proxy), (std::set<std::string>{"old", "new"}));
    new_.otherwise(respond(500, {}, "broken"));
    const Load load(proxy);
    ASSERT_TRUE(wait_until([&] { return ended(proxy, "rolled_back") == 1; }));
    EXPECT_EQ(answers(proxy), (std::set<std::string>{"old"}));
    EXPECT_EQ(config(proxy).at("last_result").at("result"), "rolled_back");
}

TEST_F(Rollout, ARestartPromotesAFileAtOnceWhereTheLastKnownGoodOneIsDead) {
    const TempDir state;
    {
        const auto first = ProxyUnderTest::with_yaml(to(old_), {.state_dir = state.path()});
    }
    old_.stop();
    auto proxy = ProxyUnderTest::with_yaml(to(new_) + kHalfForAnHour, {.state_dir = state.path()});
    ASSERT_TRUE(wait_until([&] { return ended(proxy, "promoted") == 1; }));
    EXPECT_EQ(answers(proxy), (std::set<std::string>{"new"}));
    EXPECT_EQ(config(proxy).at("source"), "file");
}

TEST_F(Rollout, ARestartWithACopyThatCannotBeTrustedAppliesTheFile) {
    const TempDir state;
    state.write("last-known-good", "rubbish");
    state.write("rolled-back", "rubbish");
    auto proxy = ProxyUnderTest::with_yaml(to(new_) + kHalfForAnHour, {.state_dir = state.path()});
    EXPECT_EQ(config(proxy).at("source"), "file");
    EXPECT_FALSE(runs(proxy));
    EXPECT_EQ(answers(proxy), (std::set<std::string>{"new"}));
}

TEST_F(Rollout, ARestartDoesNotTakeARolledBackFileForAFirstOne) {
    const TempDir state;
    const std::string text = to(new_) + rollout("canary: 50%, for: 1h");
    new_.stop();
    {
        auto first = ProxyUnderTest::with_yaml(to(old_), {.state_dir = state.path()});
        first.write(text);
        ASSERT_TRUE(wait_until([&] { return ended(first, "rolled_back") == 1; }));
    }
    auto proxy = ProxyUnderTest::with_yaml(text, {.state_dir = state.path()});
    EXPECT_EQ(answers(proxy), (std::set<std::string>{"old"}));
    EXPECT_EQ(config(proxy).at("source"), "last_known_good");
    EXPECT_EQ(config(proxy).at("last_result").at("result"), "rolled_back");
    // Without a copy to run on it is better than nothing.
    std::filesystem::remove(state / "last-known-good");
    const auto alone = ProxyUnderTest::with_yaml(text, {.state_dir = state.path()});
    EXPECT_EQ(config(alone).at("source"), "file");
}

TEST_F(Rollout, ARolledBackFileIsTriedAgainOnSighup) {
    new_.stop();
    ProxyProcess proxy(to(old_));
    proxy.write(to(new_) + rollout("canary: 50%, for: 100ms"));
    ASSERT_TRUE(wait_until([&] { return ended(proxy, "rolled_back") == 1; }));
    new_.start_again();
    proxy.signal(SIGHUP);
    ASSERT_TRUE(wait_until([&] { return ended(proxy, "promoted") == 1; }));
    EXPECT_EQ(answers(proxy), (std::set<std::string>{"new"}));
}

}  // namespace
}  // namespace rproxy::test
