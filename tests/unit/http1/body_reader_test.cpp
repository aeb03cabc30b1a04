#include "http1/body_reader.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace rproxy::http1 {
namespace {

using Kind = http::BodyFraming::Kind;
using Status = BodyReader::Status;

TEST(BodyReader, IsCompleteAtOnceWithoutABody) {
    for (const Kind kind : {Kind::None, Kind::Length}) {
        BodyReader reader;
        reader.start({kind, 0});
        EXPECT_TRUE(reader.complete());
        std::string next = "next";
        const auto step = reader.decode(next.data(), next.size(), next.data());
        EXPECT_EQ(step.consumed, 0U);
        EXPECT_EQ(step.status, Status::Complete);
    }
}

TEST(BodyReader, TakesALengthAndNoByteMore) {
    std::string raw = "....bodynext";  // the head's place is in front
    BodyReader reader;
    reader.start({Kind::Length, 4});
    EXPECT_FALSE(reader.complete());
    EXPECT_EQ(reader.left(), 4U);
    auto step = reader.decode(raw.data() + 4, 1, raw.data());
    EXPECT_EQ(step.status, Status::NeedMore);
    EXPECT_EQ(step.consumed, 1U);
    EXPECT_EQ(reader.left(), 3U);
    step = reader.decode(raw.data() + 5, 7, raw.data() + 1);
    EXPECT_EQ(step.status, Status::Complete);
    EXPECT_EQ(step.consumed, 3U);
    EXPECT_EQ(std::string_view(raw).substr(0, 4), "body");
    EXPECT_EQ(reader.received(), 4U);
    EXPECT_TRUE(reader.complete());
}

TEST(BodyReader, GivesTheSameAtEverySplitPoint) {
    const std::string raw = "3\r\nabc\r\n2\r\nde\r\n0\r\nT: v\r\n\r\nnext";
    for (std::size_t first = 1; first < raw.size(); ++first) {
        std::string memory = raw;
        BodyReader reader;
        reader.start({Kind::Chunked, 0});
        auto step = reader.decode(memory.data(), first, memory.data());
        std::size_t consumed = step.consumed;
        std::size_t produced = step.produced;
        if (step.status == Status::NeedMore) {
            step = reader.decode(memory.data() + consumed, raw.size() - consumed,
                                 memory.data() + produced);
            consumed += step.consumed;
            produced += step.produced;
        }
        EXPECT_EQ(step.status, Status::Complete) << first;
        EXPECT_EQ(memory.substr(0, produced), "abcde") << first;
        EXPECT_EQ(raw.substr(consumed), "next") << first;
        EXPECT_EQ(reader.trailers(), "T: v\r\n") << first;
        EXPECT_EQ(reader.received(), 5U) << first;
    }
}

TEST(BodyReader, RefusesBadChunking) {
    std::string raw = "zz\r\n";
    BodyReader reader;
    reader.start({Kind::Chunked, 0});
    EXPECT_EQ(reader.decode(raw.data(), raw.size(), raw.data()).status, Status::Bad);
    EXPECT_FALSE(reader.complete());
    EXPECT_FALSE(reader.complete_at_close());
}

// RFC 9112 §8: only a body without any other delimiter ends with the connection.
TEST(BodyReader, IsCompleteAtCloseOnlyWhereTheFramingSaysSo) {
    struct Case {
        http::BodyFraming framing;
        bool complete;
    };
    for (const auto& [framing, complete] :
         {Case{{Kind::UntilClose, 0}, true}, Case{{Kind::None, 0}, true},
          Case{{Kind::Length, 5}, false}, Case{{Kind::Chunked, 0}, false}}) {
        std::string raw = "1\r\na";
        BodyReader reader;
        reader.start(framing);
        reader.decode(raw.data(), raw.size(), raw.data());
        EXPECT_EQ(reader.complete_at_close(), complete);
        EXPECT_EQ(reader.complete(), complete);
    }
}

TEST(BodyReader, TakesEverythingUntilClose) {
    std::string raw = "a\r\n0\r\n\r\n";
    BodyReader reader;
    reader.start({Kind::UntilClose, 0});
    const auto step = reader.decode(raw.data(), raw.size(), raw.data());
    EXPECT_EQ(step.produced, raw.size());
    EXPECT_EQ(step.status, Status::NeedMore);
    EXPECT_FALSE(reader.complete());
}

TEST(BodyReader, StartsAnewForTheNextMessage) {
    std::string raw = "1\r\na\r\n0\r\nT: v\r\n\r\n";
    BodyReader reader;
    reader.start({Kind::Chunked, 0});
    reader.decode(raw.data(), raw.size(), raw.data());
    reader.start({Kind::Chunked, 0});
    EXPECT_EQ(reader.received(), 0U);
    EXPECT_EQ(reader.trailers(), "");
    EXPECT_FALSE(reader.complete());
    EXPECT_EQ(reader.kind(), Kind::Chunked);
}

// A response until close is sent on chunked, its trailers included: they must not be another one's.
TEST(BodyReader, ForgetsTrailersWhateverComesNext) {
    for (const Kind kind : {Kind::None, Kind::Length, Kind::UntilClose}) {
        std::string raw = "0\r\nT: v\r\n\r\n";
        BodyReader reader;
        reader.start({Kind::Chunked, 0});
        reader.decode(raw.data(), raw.size(), raw.data());
        ASSERT_EQ(reader.trailers(), "T: v\r\n");
        reader.start({kind, 0});
        EXPECT_EQ(reader.trailers(), "");
    }
}

}  // namespace
}  // namespace rproxy::http1
