#include "proxy/pump.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace rproxy::proxy {
namespace {

using Kind = http::BodyFraming::Kind;
using Status = Pump::Status;

constexpr std::size_t kBufferSize = 4096;

std::pair<net::Stream, net::Stream> stream_pair() {
    std::array<int, 2> fds{-1, -1};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds.data()), 0);
    return {net::Stream(net::Fd(fds[0])), net::Stream(net::Fd(fds[1]))};
}

std::string letters(std::size_t size) {
    std::string text(size, ' ');
    for (std::size_t i = 0; i < size; ++i) {
        text[i] = static_cast<char>('a' + i % 26);
    }
    return text;
}

std::string chunk(std::string_view content) {
    http::Buffer size;
    size.append_number(content.size(), 16);
    return std::string(size.view()) + "\r\n" + std::string(content) + "\r\n";
}

/// A pump between two socket pairs, whose far ends the test holds.
struct PumpTest : testing::Test {
    std::pair<net::Stream, net::Stream> source{stream_pair()};
    std::pair<net::Stream, net::Stream> sink{stream_pair()};
    bool readable{true};
    bool writable{true};
    bool source_closed{false};
    bool sink_closed{false};
    Pump pump;

    PumpTest() { pump.buffer().reserve(kBufferSize); }

    void start(http::BodyFraming framing, bool chunked_out, std::string_view head = "") {
        pump.buffer().append(head);
        pump.out().head().append(head);
        pump.start(framing, head.size(), chunked_out);
    }
    Status run() {
        return pump.run({source.first, readable, source_closed},
                        {sink.first, writable, sink_closed});
    }
    /// The event loop's edges came.
    Status run_again() {
        readable = writable = true;
        return run();
    }
    void offer(std::string text) {
        const iovec piece{text.data(), text.size()};
        ASSERT_EQ(source.second.write({&piece, 1}).bytes, text.size());
        readable = true;
    }
    void end_source() {
        source.second.shutdown_write();
        readable = source_closed = true;
    }
    /// All that waits at the far end of the sink.
    std::string taken() {
        std::string text;
        std::array<char, 65536> some{};
        while (true) {
            const auto got = sink.second.read(some);
            if (got.status != net::IoResult::Status::Ok) {
                return text;
            }
            text.append(some.data(), got.bytes);
        }
    }
    /// Runs and takes until the pump stops for another reason than the sink.
    Status run_to_end(std::string& text) {
        Status status = run();
        for (int i = 0; i < 10'000 && status == Status::WaitSink; ++i) {
            text += taken();
            status = run_again();
        }
        text += taken();
        return status;
    }
};

TEST_F(PumpTest, SendsAHeadWithoutABody) {
    start({Kind::None, 0}, false, "HEAD\r\n\r\n");
    EXPECT_EQ(run(), Status::Done);
    EXPECT_TRUE(pump.done());
    EXPECT_EQ(taken(), "HEAD\r\n\r\n");
    EXPECT_EQ(pump.bytes_read(), 0U);
}

TEST_F(PumpTest, MovesABodyOfAGivenLength) {
    start({Kind::Length, 10}, false, "HEAD\r\n\r\n");
    offer("01234");
    EXPECT_EQ(run(), Status::WaitSource);
    EXPECT_FALSE(readable);
    EXPECT_EQ(taken(), "HEAD\r\n\r\n01234");
    offer("56789next");
    EXPECT_EQ(run(), Status::Done);
    EXPECT_EQ(taken(), "56789");
    EXPECT_EQ(pump.surplus(), 4U);
    pump.drop_message();
    EXPECT_EQ(pump.buffer().view(), "next");
}

TEST_F(PumpTest, SendsTheBodyThatCameWithTheHeadBehindIt) {
    pump.buffer().append("HEAD\r\n\r\nbody");
    pump.out().head().append("OTHER\r\n\r\n");
    pump.start({Kind::Length, 4}, 8, false);
    EXPECT_EQ(run(), Status::Done);
    EXPECT_EQ(taken(), "OTHER\r\n\r\nbody");
}

TEST_F(PumpTest, ChunksABodyUntilCloseAndEndsIt) {
    start({Kind::UntilClose, 0}, true);
    offer("hello");
    EXPECT_EQ(run(), Status::WaitSource);
    EXPECT_EQ(taken(), "5\r\nhello\r\n");
    end_source();
    EXPECT_EQ(run(), Status::Done);
    EXPECT_EQ(taken(), "0\r\n\r\n");
}

TEST_F(PumpTest, PassesABodyUntilCloseAsItIs) {
    start({Kind::UntilClose, 0}, false);
    offer("hello");
    end_source();
    EXPECT_EQ(run(), Status::Done);
    EXPECT_EQ(taken(), "hello");
    EXPECT_TRUE(pump.done());
}

TEST_F(PumpTest, ReframesChunksAndPassesTrailersOn) {
    start({Kind::Chunked, 0}, true);
    offer("3;ext=\"1\"\r\nabc\r\n4\r\ndefg\r\n0\r\nX-Sum: 7\r\nContent-Length: 9\r\n\r\nnext");
    EXPECT_EQ(run(), Status::Done);
    EXPECT_EQ(taken(), "7\r\nabcdefg\r\n0\r\nX-Sum: 7\r\n\r\n");
    EXPECT_EQ(pump.surplus(), 4U);
    EXPECT_EQ(pump.body().received(), 7U);
}

TEST_F(PumpTest, TakesChunkingOffForAnOldClient) {
    start({Kind::Chunked, 0}, false);
    offer("3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n");
    EXPECT_EQ(run(), Status::Done);
    EXPECT_EQ(taken(), "abcdefg");
}

TEST_F(PumpTest, GivesTheSameBodyHoweverItArrives) {
    const std::string raw = chunk("abc") + chunk("defghij") + "0\r\nT: v\r\n\r\n";
    for (std::size_t at = 1; at < raw.size(); ++at) {
        pump.reset(kBufferSize);
        start({Kind::Chunked, 0}, false);
        offer(raw.substr(0, at));
        ASSERT_EQ(run(), Status::WaitSource) << at;
        offer(raw.substr(at));
        ASSERT_EQ(run(), Status::Done) << at;
        EXPECT_EQ(taken(), "abcdefghij") << at;
        EXPECT_EQ(pump.surplus(), 0U) << at;
    }
}

TEST_F(PumpTest, EndsAnEmptyChunkedBody) {
    start({Kind::Chunked, 0}, true);
    offer("0\r\n\r\n");
    EXPECT_EQ(run(), Status::Done);
    EXPECT_EQ(taken(), "0\r\n\r\n");
}

TEST_F(PumpTest, MovesMuchThroughATinySocketBufferWithOneBufferOfItsOwn) {
    constexpr int kTiny = 1;  // the kernel makes its least of it
    ::setsockopt(sink.first.fd(), SOL_SOCKET, SO_SNDBUF, &kTiny, sizeof kTiny);
    const std::string body = letters(300'000);
    std::string raw;
    for (std::size_t at = 0; at < body.size(); at += 10'007) {
        raw += chunk(std::string_view(body).substr(at, 10'007));
    }
    raw += "0\r\n\r\n";
    start({Kind::Chunked, 0}, false, "HEAD\r\n\r\n");
    std::string sent;
    std::size_t offered = 0;
    Status status = Status::WaitSource;
    while (status == Status::WaitSource || status == Status::WaitSink) {
        if (status == Status::WaitSource && offered < raw.size()) {
            const auto some = std::min<std::size_t>(50'000, raw.size() - offered);
            offer(raw.substr(offered, some));
            offered += some;
        }
        status = run_to_end(sent);
        ASSERT_TRUE(status != Status::WaitSource || offered < raw.size());
    }
    EXPECT_EQ(status, Status::Done);
    EXPECT_EQ(sent, "HEAD\r\n\r\n" + body);
    EXPECT_EQ(pump.buffer().capacity(), kBufferSize);
    EXPECT_EQ(pump.bytes_read(), raw.size());
}

TEST_F(PumpTest, ReadsNothingMoreWhileTheSinkIsFull) {
    start({Kind::Length, 1'000'000}, false);
    writable = false;
    offer(letters(50'000));
    EXPECT_EQ(run(), Status::WaitSink);
    EXPECT_EQ(run(), Status::WaitSink);
    EXPECT_EQ(pump.bytes_read(), kBufferSize);
    EXPECT_EQ(pump.buffer().capacity(), kBufferSize);
}

TEST_F(PumpTest, CanReplayWhatIsStillInItsBuffer) {
    const std::string head = "HEAD\r\n\r\n";
    start({Kind::Length, 10}, false, head);
    offer("01234");
    EXPECT_EQ(run(), Status::WaitSource);
    EXPECT_EQ(taken(), head + "01234");
    ASSERT_TRUE(pump.replayable());

    pump.out().clear(kBufferSize);
    pump.out().head().append(head);
    pump.replay();
    EXPECT_EQ(run(), Status::WaitSource);
    EXPECT_EQ(taken(), head + "01234");
    offer("56789");
    EXPECT_EQ(run(), Status::Done);
    EXPECT_EQ(taken(), "56789");
}

TEST_F(PumpTest, ReplaysAWholeChunkedBodyWithItsEnd) {
    start({Kind::Chunked, 0}, true);
    offer("3\r\nabc\r\n2\r\nde\r\n0\r\nT: v\r\n\r\n");
    EXPECT_EQ(run(), Status::Done);
    EXPECT_EQ(taken(), "5\r\nabcde\r\n0\r\nT: v\r\n\r\n");
    pump.out().clear(kBufferSize);
    pump.replay();
    EXPECT_FALSE(pump.done());
    EXPECT_EQ(run(), Status::Done);
    EXPECT_EQ(taken(), "5\r\nabcde\r\n0\r\nT: v\r\n\r\n");
}

TEST_F(PumpTest, ReplaysAWholeBodyOfAGivenLength) {
    start({Kind::Length, 3}, false);
    offer("abc");
    EXPECT_EQ(run(), Status::Done);
    pump.out().clear(kBufferSize);
    pump.replay();
    EXPECT_EQ(run(), Status::Done);
    EXPECT_EQ(taken(), "abcabc");
}

TEST_F(PumpTest, CannotReplayABodyThatOutgrewItsBuffer) {
    start({Kind::Length, kBufferSize + 1}, false);
    offer(letters(kBufferSize + 1));
    std::string sent;
    EXPECT_EQ(run_to_end(sent), Status::Done);
    EXPECT_EQ(sent, letters(kBufferSize + 1));
    EXPECT_FALSE(pump.replayable());
}

TEST_F(PumpTest, StopsAtABodyAboveTheLimit) {
    start({Kind::Chunked, 0}, true);
    pump.set_limit(4);
    offer("4\r\nabcd\r\n");
    EXPECT_EQ(run(), Status::WaitSource);
    offer("1\r\ne\r\n0\r\n\r\n");
    EXPECT_EQ(run(), Status::TooLarge);
}

TEST_F(PumpTest, SendsNothingOfABodyThatIsMalformedFromItsStart) {
    start({Kind::Chunked, 0}, true, "HEAD\r\n\r\n");
    offer("nonsense\r\n");
    readable = false;  // the head goes out before the body is read
    EXPECT_EQ(run(), Status::WaitSource);
    EXPECT_EQ(taken(), "HEAD\r\n\r\n");
    readable = true;
    EXPECT_EQ(run(), Status::SourceMalformed);
    EXPECT_EQ(taken(), "");
}

TEST_F(PumpTest, SendsNotEvenTheHeadWhenTheBodyBehindItIsMalformed) {
    pump.buffer().append("HEAD\r\n\r\nnonsense\r\n");
    pump.out().head().append("HEAD\r\n\r\n");
    pump.start({Kind::Chunked, 0}, 8, true);
    EXPECT_EQ(run(), Status::SourceMalformed);
    EXPECT_EQ(taken(), "");
}

TEST_F(PumpTest, SaysThatTheSourceEndedEarly) {
    for (const auto framing :
         {http::BodyFraming{Kind::Length, 10}, http::BodyFraming{Kind::Chunked, 0}}) {
        source = stream_pair();
        source_closed = false;
        pump.reset(kBufferSize);
        start(framing, false);
        offer("5\r\nabc");
        end_source();
        EXPECT_EQ(run(), Status::SourceEnded);
        EXPECT_FALSE(pump.done());
        taken();
    }
}

TEST_F(PumpTest, SaysThatTheSinkIsGone) {
    start({Kind::Length, 10}, false);
    offer("01234");
    sink.second.close();
    EXPECT_EQ(run(), Status::SinkFailed);
}

TEST_F(PumpTest, SaysThatTheSourceFailed) {
    start({Kind::Length, 10}, false);
    source.first.close();
    EXPECT_EQ(run(), Status::SourceFailed);
}

TEST_F(PumpTest, GivesLargeBuffersBackAndForgetsTheLastMessage) {
    start({Kind::Length, 4}, false);
    pump.set_limit(2);
    pump.buffer().reserve(10 * kBufferSize);
    pump.reset(kBufferSize);
    EXPECT_LE(pump.buffer().capacity(), kBufferSize);
    EXPECT_TRUE(pump.done());
    pump.buffer().reserve(kBufferSize);
    start({Kind::Length, 4}, false);
    offer("abcd");
    EXPECT_EQ(run(), Status::Done);
    EXPECT_EQ(taken(), "abcd");
}

TEST(Outgoing, CountsWhatWasWrittenAndWaitsAfterAPartialSend) {
    auto [near, far] = stream_pair();
    const std::string body = letters(3 << 20);
    Outgoing out;
    out.head().append("HEAD");
    out.set_body(body);
    out.append_tail("TAIL");
    EXPECT_EQ(out.size(), body.size() + 8);
    EXPECT_FALSE(out.takes_body());
    EXPECT_EQ(out.flush(near).status, net::IoResult::Status::WouldBlock);
    const auto partial = out.written();
    EXPECT_GT(partial, 0U);
    EXPECT_EQ(out.size(), body.size() + 8 - partial);

    std::string got;
    std::array<char, 65536> some{};
    while (got.size() < body.size() + 8) {
        const auto read = far.read(some);
        if (read.status == net::IoResult::Status::Ok) {
            got.append(some.data(), read.bytes);
        } else {
            ASSERT_EQ(read.status, net::IoResult::Status::WouldBlock);
            out.flush(near);
        }
    }
    EXPECT_EQ(got, "HEAD" + body + "TAIL");
    EXPECT_TRUE(out.empty());
    EXPECT_EQ(out.written(), got.size());
}

/// A pump that may borrow one buffer of four times its own.
struct PumpWithLargeBuffersTest : PumpTest {
    LargeBuffers large;
    Pump borrowing{true, &large};

    PumpWithLargeBuffersTest() {
        large.configure(4 * kBufferSize, 1);
        borrowing.buffer().reserve(kBufferSize);
    }
    Status move() {
        return borrowing.run({source.first, readable, source_closed},
                             {sink.first, writable, sink_closed});
    }
    void begin(http::BodyFraming framing, std::string_view head) {
        borrowing.buffer().append(head);
        borrowing.out().head().append(head);
        borrowing.start(framing, head.size(), false);
    }
};

TEST_F(PumpWithLargeBuffersTest, BorrowForABodyThatFillsTheirOwnAndGiveBackWhenItIsMoved) {
    const std::string body = letters(5 * kBufferSize);
    begin({Kind::Length, body.size() + 1}, "HEAD\r\n\r\n");
    offer(body);
    EXPECT_EQ(move(), Status::WaitSource);
    EXPECT_EQ(taken(), "HEAD\r\n\r\n" + body);
    EXPECT_EQ(large.lent(), 0U);  // what waits for its sender holds none
    EXPECT_FALSE(borrowing.replayable());
    EXPECT_EQ(borrowing.buffer().view(), "HEAD\r\n\r\n");  // its views are still good
    offer("!NEXT");
    EXPECT_EQ(move(), Status::Done);
    EXPECT_EQ(taken(), "!");
    borrowing.drop_message();
    EXPECT_EQ(borrowing.buffer().view(), "NEXT");
    EXPECT_EQ(large.lent(), 0U);
}

TEST_F(PumpWithLargeBuffersTest, KeepALentOneOnlyWhileSomethingIsInIt) {
    const std::string body = letters(1U << 20U);
    begin({Kind::Length, body.size()}, "HEAD\r\n\r\n");
    std::string_view left = body;
    std::string text;
    for (int i = 0; i < 10'000 && text.size() < body.size() + 8; ++i) {
        iovec piece{const_cast<char*>(left.data()), left.size()};
        const auto sent = source.second.write({&piece, 1});
        left.remove_prefix(sent.status == net::IoResult::Status::Ok ? sent.bytes : 0);
        readable = writable = true;
        const Status status = move();
        EXPECT_NE(status, Status::SinkFailed);
        EXPECT_LE(large.lent(), status == Status::WaitSource ? 0U : 1U);
        text += taken();
    }
    EXPECT_EQ(text, "HEAD\r\n\r\n" + body);
    borrowing.reset(kBufferSize);
    EXPECT_EQ(large.lent(), 0U);
}

TEST_F(PumpWithLargeBuffersTest, GoOnWithoutWhenAllAreLent) {
    const auto held = large.lend();
    ASSERT_TRUE(held.has_value());
    const std::string body = letters(5 * kBufferSize);
    begin({Kind::UntilClose, 0}, "HEAD\r\n\r\n");
    offer(body);
    EXPECT_EQ(move(), Status::WaitSource);
    EXPECT_EQ(taken(), "HEAD\r\n\r\n" + body);
}

TEST_F(PumpWithLargeBuffersTest, BorrowNothingForARestThatFits) {
    constexpr std::size_t kBody = kBufferSize + kBufferSize / 2;
    begin({Kind::Length, kBody}, "HEAD\r\n\r\n");
    offer(letters(kBody));
    EXPECT_EQ(move(), Status::Done);
    EXPECT_EQ(large.lent(), 0U);
    EXPECT_EQ(taken().size(), kBody + 8);
}

}  // namespace
}  // namespace rproxy::proxy
