#include "support/config_map_dir.h"
#include "support/fake_backend.h"
#include "support/http_text.h"
#include "support/manual_clock.h"
#include "support/raw_client.h"
#include "support/scripted_rng.h"
#include "support/temp_dir.h"
#include "support/wait_until.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace rproxy::test {
namespace {

using namespace std::chrono_literals;

const std::string kGet = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

TEST(FakeBackend, AnswersOnKeptConnectionsAndRecordsEveryByte) {
    FakeBackend backend;
    RawClient client(backend.port());
    const auto first = client.exchange(kGet);
    ASSERT_TRUE(first);
    EXPECT_EQ(first->status, 200);
    EXPECT_EQ(first->body, "ok");
    const std::string post = "POST /a?b=c HTTP/1.1\r\nHost:  y \r\nContent-Length: 3\r\n\r\nabc";
    ASSERT_TRUE(client.exchange(post));
    const auto requests = backend.requests();
    ASSERT_EQ(requests.size(), 2U);
    EXPECT_EQ(requests[0].raw, kGet);
    EXPECT_EQ(requests[1].raw, post);
    EXPECT_EQ(requests[1].method, "POST");
    EXPECT_EQ(requests[1].target, "/a?b=c");
    EXPECT_EQ(requests[1].header("host"), "y");
    EXPECT_EQ(requests[1].body, "abc");
    EXPECT_TRUE(requests[1].complete);
    EXPECT_EQ(requests[1].connection, 1U);
    EXPECT_EQ(backend.connections_accepted(), 1U);
}

TEST(FakeBackend, TakesTheQueueBeforePathsBeforeTheRest) {
    FakeBackend backend;
    backend.on("/path", respond(201));
    backend.otherwise(respond(202));
    backend.enqueue(respond(203, {{"X-A", "b"}}, "body"));
    RawClient client(backend.port());
    const auto first = client.exchange("GET /path?q HTTP/1.1\r\n\r\n");
    ASSERT_TRUE(first);
    EXPECT_EQ(first->status, 203);
    EXPECT_EQ(first->header("x-a"), "b");
    EXPECT_EQ(first->body, "body");
    EXPECT_EQ(client.exchange("GET /path?q HTTP/1.1\r\n\r\n")->status, 201);
    EXPECT_EQ(client.exchange("GET /else HTTP/1.1\r\n\r\n")->status, 202);
}

TEST(FakeBackend, SpeaksChunksWithTrailersBothWays) {
    FakeBackend backend;
    backend.enqueue(chunked({"hello ", std::string(300, 'x')}, {{"X-Sum", "1"}}));
    RawClient client(backend.port());
    const std::string body = "3\r\nabc\r\n1;ext=1\r\nd\r\n0\r\nX-T: v\r\n\r\n";
    for (const char c : "PUT /u HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + body) {
        client.send({&c, 1});
    }
    const auto response = client.response();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->body, "hello " + std::string(300, 'x'));
    EXPECT_EQ(response->trailers, "X-Sum: 1\r\n");
    ASSERT_EQ(backend.request_count(), 1U);
    EXPECT_TRUE(backend.requests()[0].raw.ends_with(body));
    EXPECT_EQ(backend.requests()[0].body, "abcd");
    EXPECT_EQ(backend.requests()[0].trailers, "X-T: v\r\n");
}

TEST(FakeBackend, SendsNoBodyToHead) {
    FakeBackend backend;
    RawClient client(backend.port());
    client.send("HEAD / HTTP/1.1\r\n\r\n");
    const auto response = client.response(RawClient::To::Head);
    ASSERT_TRUE(response);
    EXPECT_EQ(response->header("Content-Length"), "2");
    EXPECT_EQ(client.exchange(kGet)->body, "ok");
}

TEST(FakeBackend, SendsRawBytesAndInterimResponses) {
    FakeBackend backend;
    backend.enqueue(raw("nonsense\r\n\r\n"));
    auto early = respond(200, {}, "x");
    early.interim = "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n";
    backend.enqueue(early);
    RawClient client(backend.port());
    client.send(kGet);
    EXPECT_EQ(client.read_at_least(12), "nonsense\r\n\r\n");
    client.send(kGet);
    EXPECT_EQ(client.response()->status, 103);
    EXPECT_EQ(client.response()->body, "x");
}

TEST(FakeBackend, StallsUntilReleased) {
    FakeBackend backend;
    backend.enqueue(stall_before_head());
    backend.enqueue(stall_after_head(respond(200, {}, "tail")));
    RawClient before(backend.port());
    before.send(kGet);
    ASSERT_TRUE(backend.wait_for_requests(1));
    RawClient after(backend.port());
    after.send(kGet);
    EXPECT_EQ(after.read_at_least(1).substr(0, 12), "HTTP/1.1 200");
    EXPECT_FALSE(before.response(RawClient::To::Get, 10ms));
    EXPECT_TRUE(before.received().empty());
    backend.release();
    EXPECT_EQ(before.response()->body, "late");
    EXPECT_EQ(after.read_at_least(4), "tail");
}

TEST(FakeBackend, NoticesThatAStalledPeerLeft) {
    FakeBackend backend;
    backend.enqueue(stall_before_head());
    RawClient client(backend.port());
    client.send(kGet);
    ASSERT_TRUE(backend.wait_for_requests(1));
    client.close();
    EXPECT_TRUE(wait_until([&] { return backend.abandoned() == 1; }));
    EXPECT_TRUE(wait_until([&] { return backend.connections_open() == 0; }));
}

TEST(FakeBackend, ResetsAfterSoManyBytes) {
    FakeBackend backend;
    for (const std::size_t bytes : {0UL, 5UL, 30UL}) {
        backend.enqueue(reset_after(bytes, respond(200, {}, std::string(100, 'x'))));
        RawClient client(backend.port());
        client.send(kGet);
        const auto got = client.read_until_close();
        ASSERT_TRUE(got);
        EXPECT_EQ(got->size(), bytes);
        EXPECT_TRUE(client.was_reset());
    }
}

TEST(FakeBackend, ClosesWhereItIsTold) {
    FakeBackend backend;
    backend.enqueue(close_after_head(respond(200, {}, "never")));
    backend.enqueue(hang_up());
    auto until_close = respond(200, {}, "to the end");
    until_close.until_close = true;
    backend.enqueue(until_close);

    RawClient cut(backend.port());
    EXPECT_FALSE(cut.exchange(kGet)) << "the body is missing";
    EXPECT_TRUE(cut.received().ends_with("Content-Length: 5\r\n\r\n"));
    RawClient hung_up(backend.port());
    hung_up.send(kGet);
    EXPECT_TRUE(hung_up.closed_by_peer());
    RawClient whole(backend.port());
    EXPECT_EQ(whole.exchange(kGet)->body, "to the end");
}

TEST(FakeBackend, AnswersBeforeTheBodyIfAsked) {
    FakeBackend backend;
    auto early = respond(413);
    early.before_body = true;
    backend.enqueue(early);
    RawClient client(backend.port());
    client.send("POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n");
    EXPECT_EQ(client.response()->status, 413);
    client.send("body");
    ASSERT_TRUE(backend.wait_for_requests(1));
    EXPECT_EQ(backend.requests()[0].body, "body");
}

TEST(FakeBackend, AsksForTheBodyThatIsHeldBack) {
    FakeBackend backend;
    RawClient client(backend.port());
    client.send("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    EXPECT_EQ(client.response()->status, 100);
    client.send("body");
    EXPECT_EQ(client.response()->status, 200);
}

TEST(FakeBackend, EchoesAfterAnUpgrade) {
    FakeBackend backend;
    backend.enqueue(upgrade("websocket"));
    RawClient client(backend.port());
    EXPECT_EQ(client.exchange(kGet)->status, 101);
    client.send("ping");
    EXPECT_EQ(client.read_at_least(4), "ping");
    client.shutdown_write();
    EXPECT_TRUE(client.closed_by_peer());
}

TEST(FakeBackend, RecordsWhatCameOfABrokenRequest) {
    FakeBackend backend;
    RawClient(backend.port()).send("GET / HT");
    RawClient(backend.port()).send("PUT / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc");
    ASSERT_TRUE(backend.wait_for_requests(2));
    for (const auto& request : backend.requests()) {
        EXPECT_FALSE(request.complete);
        EXPECT_TRUE(request.raw == "GET / HT" || request.raw.ends_with("\r\n\r\nabc"));
    }
}

TEST(FakeBackend, RefusesWhileStoppedAndComesBackOnItsPort) {
    FakeBackend backend;
    RawClient client(backend.port());
    client.exchange(kGet);
    const auto port = backend.port();
    for (int i = 0; i < 3; ++i) {
        backend.stop();
        EXPECT_THROW(RawClient{port}, std::system_error);
        backend.start_again();
        EXPECT_EQ(backend.port(), port);
        EXPECT_EQ(RawClient(port).exchange(kGet)->body, "ok");
    }
    EXPECT_TRUE(client.closed_by_peer());
    EXPECT_EQ(backend.request_count(), 4U);
}

TEST(RawClient, TellsSilenceFromAClose) {
    FakeBackend backend;
    backend.otherwise(stall_before_head());
    RawClient client(backend.port());
    client.send(kGet);
    EXPECT_FALSE(client.closed_by_peer(10ms));
    EXPECT_FALSE(client.read_until_close(10ms));
    backend.stop();
    EXPECT_TRUE(client.closed_by_peer());
    EXPECT_FALSE(client.was_reset());
}

TEST(RawClient, ReadsPipelinedResponsesOneByOne) {
    FakeBackend backend;
    backend.enqueue(respond(200, {}, "one"));
    backend.enqueue(chunked({"two"}));
    backend.enqueue(respond(204));
    backend.enqueue(respond(200, {}, "four"));
    RawClient client(backend.port());
    client.send(kGet + kGet + kGet + kGet);
    EXPECT_EQ(client.response()->body, "one");
    EXPECT_EQ(client.response()->body, "two");
    EXPECT_EQ(client.response()->status, 204);
    EXPECT_EQ(client.response()->body, "four");
}

TEST(RawClient, ConnectsToUnixSockets) {
    const TempDir directory;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const auto path = directory / "socket";
    std::memcpy(address.sun_path, path.data(), path.size());
    const Socket listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::bind(listener.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
              0);
    ASSERT_EQ(::listen(listener.fd(), 1), 0);
    auto client = RawClient::to_unix(path);
    const Socket served(::accept4(listener.fd(), nullptr, nullptr, SOCK_CLOEXEC));
    client.send("hello");
    std::string got;
    EXPECT_EQ(served.receive(got, 10s), Socket::Got::Bytes);
    EXPECT_EQ(got, "hello");
}

TEST(HttpText, FindsFieldsInAnyCase) {
    const std::string head = "GET / HTTP/1.1\r\nA: 1\r\na:\t2 \r\nb:\r\n\r\n";
    EXPECT_EQ(field(head, "a"), "1");
    EXPECT_EQ(count_fields(head, "A"), 2U);
    EXPECT_EQ(field(head, "B"), "");
    EXPECT_EQ(field(head, "c"), std::nullopt);
    EXPECT_EQ(head_size(head + "rest"), head.size());
    EXPECT_EQ(head_size("GET / HTTP/1.1\r\n"), std::nullopt);
}

TEST(ConfigMapDir, SwapsAsKubeletDoes) {
    const TempDir directory;
    ConfigMapDir map(directory / "map", {{"a", "1"}, {"b", "2"}});
    namespace fs = std::filesystem;
    const auto first = fs::read_symlink(map.path() + "/..data");
    EXPECT_EQ(fs::read_symlink(map.file("a")), "..data/a");
    map.swap({{"a", "3"}, {"c", "4"}});
    EXPECT_EQ(read_file(map.file("a")), "3");
    EXPECT_EQ(read_file(map.file("c")), "4");
    EXPECT_FALSE(fs::exists(fs::symlink_status(map.file("b"))));
    EXPECT_NE(fs::read_symlink(map.path() + "/..data"), first);
    EXPECT_FALSE(fs::exists(map.path() / first)) << "the old directory is removed";
}

TEST(TempDir, GoesWithItsObject) {
    std::string path;
    {
        const TempDir directory;
        path = directory.path();
        directory.write("file", "text");
        EXPECT_EQ(read_file(directory / "file"), "text");
        replace_file(directory / "file", "new");
        EXPECT_EQ(read_file(directory / "file"), "new");
    }
    EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(ManualClock, GoesOnlyWhenTold) {
    ManualClock clock;
    const auto monotonic = clock.now();
    const auto wall = clock.wall_now();
    EXPECT_EQ(clock.now(), monotonic);
    clock.advance(5s);
    EXPECT_EQ(clock.now() - monotonic, 5s);
    EXPECT_EQ(clock.wall_now() - wall, 5s);
    clock.set_wall(wall - 1h);
    EXPECT_EQ(clock.now() - monotonic, 5s);
}

TEST(ScriptedRng, RepeatsItsScript) {
    ScriptedRng rng({ScriptedRng::at(0.25), ScriptedRng::at(0.5)});
    EXPECT_DOUBLE_EQ(rng.unit(), 0.25);
    EXPECT_EQ(rng.below(10), 5U);
    EXPECT_DOUBLE_EQ(rng.unit(), 0.25);
    EXPECT_EQ(rng.given(), 3U);
    EXPECT_EQ(ScriptedRng().next(), 0U);
}

TEST(WaitUntil, TellsWhetherItHappened) {
    std::atomic<bool> done{false};
    std::thread worker([&] { done = true; });
    EXPECT_TRUE(wait_until([&] { return done.load(); }));
    worker.join();
    EXPECT_FALSE(wait_until([] { return false; }, 3ms));
}

}  // namespace
}  // namespace rproxy::test
