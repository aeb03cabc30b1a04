#include "net/socket.h"

#include "net/stream.h"
#include "support/temp_dir.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <string_view>
#include <utility>

namespace rproxy::net {
namespace {

using Status = IoResult::Status;

std::pair<Stream, Stream> stream_pair() {
    std::array<int, 2> fds{-1, -1};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds.data()), 0);
    return {Stream(Fd(fds[0])), Stream(Fd(fds[1]))};
}

bool wait_for(int fd, short events) {
    pollfd wanted{fd, events, 0};
    return ::poll(&wanted, 1, 10'000) == 1;
}

SocketAddress loopback(std::uint16_t port) {
    return {*IpAddress::parse("127.0.0.1"), port};
}

struct Connected {
    Stream client;
    Stream server;
    Peer peer;
};

/// Over loopback; both ends non-blocking.
Connected connect_through(const SocketAddress& bound, const Fd& listener) {
    auto client = start_connect(bound);
    EXPECT_TRUE(client && wait_for(client->get(), POLLOUT));
    EXPECT_FALSE(connect_result(client->get()));
    EXPECT_TRUE(wait_for(listener.get(), POLLIN));
    auto accepted = accept_one(listener.get());
    EXPECT_TRUE(accepted && *accepted);
    return {Stream(std::move(*client)), Stream(std::move((*accepted)->fd)), (*accepted)->peer};
}

bool is_private_and_non_blocking(int fd) {
    return (::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0 && (::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

TEST(Fd, ClosesOnceAndMovesItsDescriptor) {
    std::array<int, 2> fds{-1, -1};
    ASSERT_EQ(::pipe2(fds.data(), O_CLOEXEC), 0);
    Fd read_end(fds[0]);
    {
        Fd write_end(fds[1]);
        Fd moved(std::move(write_end));
        EXPECT_EQ(moved.get(), fds[1]);
        EXPECT_FALSE(write_end);  // NOLINT(bugprone-use-after-move): that is what is tested
        EXPECT_EQ(::fcntl(fds[1], F_GETFD), FD_CLOEXEC);
    }
    EXPECT_EQ(::fcntl(fds[1], F_GETFD), -1);
    const int released = read_end.release();
    read_end.reset();
    EXPECT_EQ(::fcntl(released, F_GETFD), FD_CLOEXEC);
    read_end = Fd(released);
    read_end = Fd();
    EXPECT_EQ(::fcntl(released, F_GETFD), -1);
}

TEST(Socket, ConnectsAcceptsAndMovesBytesBothWays) {
    const auto listener = listen_on(loopback(0), 16);
    ASSERT_TRUE(listener);
    EXPECT_TRUE(is_private_and_non_blocking(listener->get()));
    auto pair = connect_through(loopback(local_port(listener->get())), *listener);
    EXPECT_TRUE(is_private_and_non_blocking(pair.client.fd()));
    EXPECT_TRUE(is_private_and_non_blocking(pair.server.fd()));
    EXPECT_EQ(pair.peer.ip.to_string(), "127.0.0.1");
    EXPECT_EQ(pair.peer.port, local_port(pair.client.fd()));

    std::array<std::string, 2> texts{"he", "llo"};
    const std::array<iovec, 2> pieces{iovec{texts[0].data(), 2}, iovec{texts[1].data(), 3}};
    EXPECT_EQ(pair.client.write(pieces).bytes, 5U);
    ASSERT_TRUE(wait_for(pair.server.fd(), POLLIN));
    std::array<char, 16> buffer{};
    const auto got = pair.server.read(buffer);
    EXPECT_EQ(got.status, Status::Ok);
    EXPECT_EQ(std::string_view(buffer.data(), got.bytes), "hello");
}

TEST(Socket, AcceptsNothingWhileNobodyWaits) {
    const auto listener = listen_on(loopback(0), 16);
    ASSERT_TRUE(listener);
    const auto accepted = accept_one(listener->get());
    ASSERT_TRUE(accepted);
    EXPECT_FALSE(*accepted);
}

TEST(Socket, FailsToAcceptOnWhatDoesNotListen) {
    const auto pair = stream_pair();
    EXPECT_EQ(accept_one(pair.first.fd()).error(), std::errc::invalid_argument);
}

TEST(Socket, LetsEachWorkerListenOnTheSamePort) {
    const auto first = listen_on(loopback(0), 16);
    ASSERT_TRUE(first);
    EXPECT_TRUE(listen_on(loopback(local_port(first->get())), 16));
}

TEST(Socket, TakesIPv4ClientsOnTheIPv6Wildcard) {
    const auto listener = listen_on(SocketAddress(*IpAddress::parse("::"), 0), 16);
    if (!listener) {
        GTEST_SKIP() << "no IPv6 here: " << listener.error().message();
    }
    const auto pair = connect_through(loopback(local_port(listener->get())), *listener);
    EXPECT_TRUE(pair.peer.ip.is_v4());
    EXPECT_EQ(pair.peer.ip.to_string(), "127.0.0.1");
}

TEST(Socket, ReportsARefusedConnection) {
    std::uint16_t port = 0;
    {
        const auto listener = listen_on(loopback(0), 16);
        ASSERT_TRUE(listener);
        port = local_port(listener->get());
    }
    const auto client = start_connect(loopback(port));
    if (!client) {
        EXPECT_EQ(client.error(), std::errc::connection_refused);
        return;
    }
    ASSERT_TRUE(wait_for(client->get(), POLLOUT));
    EXPECT_EQ(connect_result(client->get()), std::errc::connection_refused);
}

TEST(Socket, SaysWhyItCannotListen) {
    // TEST-NET-1 of RFC 5737: nobody's address.
    const auto listener = listen_on(SocketAddress(*IpAddress::parse("192.0.2.1"), 0), 16);
    ASSERT_FALSE(listener);
    EXPECT_EQ(listener.error(), std::errc::address_not_available);
}

TEST(Socket, ListensOnAUnixPathAndSharesTheListener) {
    const test::TempDir dir;
    const auto address = SocketAddress::unix_path(dir / "socket");
    const auto listener = listen_on(address, 16);
    ASSERT_TRUE(listener);
    const auto copy = duplicate(*listener);
    ASSERT_TRUE(copy);
    const auto pair = connect_through(address, *copy);
    EXPECT_EQ(pair.peer.port, 0);
}

TEST(Socket, TakesAUnixPathOverOnlyOnceNobodyListens) {
    const test::TempDir dir;
    const auto address = SocketAddress::unix_path(dir / "socket");
    {
        const auto living = listen_on(address, 16);
        ASSERT_TRUE(living);
        EXPECT_EQ(listen_on(address, 16).error(), std::errc::address_in_use);
    }
    EXPECT_TRUE(listen_on(address, 16));
}

TEST(Socket, DoesNotRemoveAFileThatIsNoSocket) {
    const test::TempDir dir;
    const auto path = dir / "precious";
    const Fd file(::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    ASSERT_TRUE(file);
    EXPECT_EQ(listen_on(SocketAddress::unix_path(path), 16).error(), std::errc::address_in_use);
    EXPECT_EQ(::access(path.c_str(), F_OK), 0);
}

TEST(SocketAddress, IsOfAnAddressOrAPathButNotOfAName) {
    EXPECT_EQ(SocketAddress::of(*Endpoint::parse("10.0.0.1:80"))->family(), AF_INET);
    EXPECT_EQ(SocketAddress::of(*Endpoint::parse("[::1]:80"))->family(), AF_INET6);
    EXPECT_EQ(SocketAddress::of(*Endpoint::parse("unix:/a"))->family(), AF_UNIX);
    EXPECT_FALSE(SocketAddress::of(*Endpoint::parse("localhost:80")));
}

TEST(Stream, SaysThatItWouldBlock) {
    auto [near, far] = stream_pair();
    std::array<char, 8> buffer{};
    EXPECT_EQ(near.read(buffer).status, Status::WouldBlock);
    std::string much(1 << 20, 'x');
    const iovec piece{much.data(), much.size()};
    IoResult result = near.write({&piece, 1});
    EXPECT_EQ(result.status, Status::Ok);
    while (result.status == Status::Ok) {
        result = near.write({&piece, 1});
    }
    EXPECT_EQ(result.status, Status::WouldBlock);
}

TEST(Stream, TellsAHalfCloseFromAnEnd) {
    auto [near, far] = stream_pair();
    far.shutdown_write();
    std::array<char, 8> buffer{};
    EXPECT_EQ(near.read(buffer).status, Status::Closed);
    std::string text = "still";
    const iovec piece{text.data(), text.size()};
    EXPECT_EQ(near.write({&piece, 1}).status, Status::Ok);
    EXPECT_EQ(far.read(buffer).bytes, 5U);
}

TEST(Stream, FailsToWriteToAClosedPeerWithoutASignal) {
    auto [near, far] = stream_pair();
    far.close();
    EXPECT_FALSE(far.open());
    std::string text = "x";
    const iovec piece{text.data(), text.size()};
    const auto result = near.write({&piece, 1});
    EXPECT_EQ(result.status, Status::Failed);
    EXPECT_EQ(result.error, EPIPE);
}

TEST(Stream, ResetsThePeerWhenAborted) {
    const auto listener = listen_on(loopback(0), 16);
    ASSERT_TRUE(listener);
    auto pair = connect_through(loopback(local_port(listener->get())), *listener);
    pair.server.abort_on_close();
    pair.server.close();
    ASSERT_TRUE(wait_for(pair.client.fd(), POLLIN));
    std::array<char, 8> buffer{};
    const auto result = pair.client.read(buffer);
    EXPECT_EQ(result.status, Status::Failed);
    EXPECT_EQ(result.error, ECONNRESET);
}

}  // namespace
}  // namespace rproxy::net
