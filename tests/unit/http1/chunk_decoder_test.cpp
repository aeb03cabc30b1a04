#include "http1/chunk_decoder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace rproxy::http1 {
namespace {

using namespace std::string_literals;
using Status = ChunkDecoder::Status;

struct Decoded {
    Status status{Status::NeedMore};
    std::string content;
    std::size_t consumed{0};
    std::string trailers;
    friend bool operator==(const Decoded&, const Decoded&) = default;
};

/// In place, in pieces of `piece` bytes, the first of them `first` bytes long.
Decoded decode(std::string raw, std::size_t first, std::size_t piece) {
    ChunkDecoder decoder;
    Decoded result;
    std::size_t size = first;
    while (result.status == Status::NeedMore && result.consumed < raw.size()) {
        size = std::min(size, raw.size() - result.consumed);
        const auto step =
            decoder.decode(raw.data() + result.consumed, size, raw.data() + result.content.size());
        result.content.append(raw.data() + result.content.size(), step.produced);
        result.consumed += step.consumed;
        result.status = step.status;
        EXPECT_TRUE(step.consumed == size || step.status != Status::NeedMore);
        size = piece;
    }
    result.trailers = decoder.trailers();
    return result;
}
Decoded decode(const std::string& raw) {
    return decode(raw, raw.size(), raw.size());
}

TEST(ChunkDecoder, TakesTheCodingOff) {
    struct Case {
        std::string raw;
        std::string content;
        std::string trailers;
    };
    const std::string hundred(256, 'x');
    const std::vector<Case> cases{
        {"0\r\n\r\n", "", ""},
        {"3\r\nabc\r\n0\r\n\r\n", "abc", ""},
        {"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "abcde", ""},
        {"4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n", ""},
        {"2\r\n\0\xff\r\n0\r\n\r\n"s, "\0\xff"s, ""},
        {"100\r\n" + hundred + "\r\n0\r\n\r\n", hundred, ""},
        {"a\r\n0123456789\r\n0\r\n\r\n", "0123456789", ""},
        {"A\r\n0123456789\r\n00\r\n\r\n", "0123456789", ""},
        {"0003\r\nabc\r\n000\r\n\r\n", "abc", ""},
        {"3;a\r\nabc\r\n0\r\n\r\n", "abc", ""},
        {"3;a=b;c=\"d\"\r\nabc\r\n0;last\r\n\r\n", "abc", ""},
        {"3; a = b ; c\r\nabc\r\n0\r\n\r\n", "abc", ""},
        {"3;a=\"x;\\\"y\"\r\nabc\r\n0\r\n\r\n", "abc", ""},
        {"0\r\nA: 1\r\nB:2 \r\nC:\r\n\r\n", "", "A: 1\r\nB: 2\r\nC: \r\n"},
    };
    for (const auto& [raw, content, trailers] : cases) {
        EXPECT_EQ(decode(raw), (Decoded{Status::Complete, content, raw.size(), trailers})) << raw;
    }
}

TEST(ChunkDecoder, LeavesTheNextMessageAlone) {
    const auto decoded = decode("1\r\na\r\n0\r\n\r\nGET / HTTP/1.1\r\n");
    EXPECT_EQ(decoded.status, Status::Complete);
    EXPECT_EQ(decoded.consumed, 11U);
    EXPECT_EQ(decoded.content, "a");
}

TEST(ChunkDecoder, GivesTheSameAtEverySplitPoint) {
    for (const std::string& raw :
         {"5;x=\"y\"\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\nT: v\r\nU: w\r\n\r\nrest"s,
          "5\r\nhelloX\r\n0\r\n\r\n"s, "1\r\na\r\n1 \r\nb\r\n"s, "1\r\na\n0\r\n\r\n"s}) {
        const auto whole = decode(raw);
        for (std::size_t first = 1; first <= raw.size(); ++first) {
            const auto parts = decode(raw, first, raw.size());
            EXPECT_EQ(parts.status, whole.status) << raw << " at " << first;
            EXPECT_EQ(parts.content, whole.content) << raw << " at " << first;
            EXPECT_EQ(parts.trailers, whole.trailers) << raw << " at " << first;
        }
        const auto bytes = decode(raw, 1, 1);
        EXPECT_EQ(bytes.status, whole.status) << raw;
        EXPECT_EQ(bytes.content, whole.content) << raw;
    }
}

// Each of these has been used, against some server, to make two parsers see different bodies.
TEST(ChunkDecoder, RefusesWhatCouldBeReadTwoWays) {
    for (const std::string& raw : {
             "\r\n\r\n"s,
             "g\r\n"s,
             "-1\r\n"s,
             "+1\r\na\r\n"s,
             "0x1\r\na\r\n"s,
             " 1\r\na\r\n"s,
             "1 \r\na\r\n"s,
             "1\t\r\na\r\n"s,
             "1 ;a\r\na\r\n"s,
             "1\na\r\n0\r\n\r\n"s,         // bare LF
             "1\r\na\n0\r\n\r\n"s,         // bare LF behind the data
             "1\r\na\r\n0\r\n\n"s,         // bare LF at the end
             "1\r\r\na\r\n0\r\n\r\n"s,     // bare CR
             "1;a\rb\r\na\r\n0\r\n\r\n"s,  // bare CR in an extension
             "1\0\r\na\r\n"s,
             "1;\r\na\r\n"s,
             "1;;a\r\na\r\n"s,
             "1;a=\r\na\r\n"s,
             "1;a=\"b\r\na\r\n"s,
             "1;a=\"b\\\"\r\na\r\n"s,
             "1;a b\r\na\r\n"s,
             "1,2\r\na\r\n"s,
             "1\r\nab\r\n0\r\n\r\n"s,    // more data than said
             "2\r\na\r\n0\r\n\r\n"s,     // less
             "10000000000000000\r\na"s,  // 2^64
             "1000000000000000\r\na"s,   // above 2^60: 16 digits
             "0000000000000001\r\na"s,   // zeros do not make room for more digits
             "0\r\nA\r\n\r\n"s,          // a trailer that is no field
             "0\r\n: v\r\n\r\n"s,
             "0\r\nA : v\r\n\r\n"s,       // white space before the colon
             "0\r\nA: v\r\n B\r\n\r\n"s,  // folded
             "0\r\nA: \0\r\n\r\n"s,
         }) {
        EXPECT_EQ(decode(raw).status, Status::Bad) << raw;
    }
}

TEST(ChunkDecoder, StaysBadOnceItIs) {
    std::string raw = "x\r\n";
    ChunkDecoder decoder;
    EXPECT_EQ(decoder.decode(raw.data(), raw.size(), raw.data()).status, Status::Bad);
    std::string good = "0\r\n\r\n";
    EXPECT_EQ(decoder.decode(good.data(), good.size(), good.data()).status, Status::Bad);
    decoder.reset();
    EXPECT_EQ(decoder.decode(good.data(), good.size(), good.data()).status, Status::Complete);
}

// RFC 9110 §6.5.1: what decides framing, routing, authentication or content must not come late.
TEST(ChunkDecoder, DropsTrailersThatMustNotBeThere) {
    const auto decoded = decode(
        "0\r\nContent-Length: 5\r\nX-Sum: 1\r\nTransfer-Encoding: chunked\r\nHost: h\r\n"
        "Connection: close\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n");
    EXPECT_EQ(decoded.status, Status::Complete);
    EXPECT_EQ(decoded.trailers, "X-Sum: 1\r\n");
}

TEST(ChunkDecoder, BoundsWhatASenderCanMakeItKeep) {
    EXPECT_EQ(decode("1;" + std::string(2000, 'a')).status, Status::Bad);
    EXPECT_EQ(decode("0\r\nA: " + std::string(9000, 'a')).status, Status::Bad);
    std::string many = "0\r\n";
    for (int i = 0; i < 1000; ++i) {
        many += "Name: " + std::string(100, 'v') + "\r\n";
    }
    EXPECT_EQ(decode(many + "\r\n").status, Status::Bad);
}

TEST(ChunkDecoder, ForgetsTrailersForTheNextBody) {
    ChunkDecoder decoder;
    std::string raw = "0\r\nA: 1\r\n\r\n";
    decoder.decode(raw.data(), raw.size(), raw.data());
    EXPECT_EQ(decoder.trailers(), "A: 1\r\n");
    decoder.reset();
    EXPECT_EQ(decoder.trailers(), "");
}

}  // namespace
}  // namespace rproxy::http1
