#include "http/buffer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

namespace rproxy::http {
namespace {

TEST(Buffer, IsFilledAtTheEndAndConsumedFromTheFront) {
    Buffer buffer;
    EXPECT_TRUE(buffer.empty());
    buffer.append("hello ");
    buffer.append('w');
    buffer.append("orld");
    EXPECT_EQ(buffer.view(), "hello world");
    buffer.consume(6);
    EXPECT_EQ(buffer.view(), "world");
    buffer.consume(5);
    EXPECT_TRUE(buffer.empty());
    EXPECT_EQ(buffer.space().size(), buffer.capacity());  // at the front again
}

TEST(Buffer, TakesWhatIsWrittenToItsSpace) {
    Buffer buffer;
    buffer.reserve(8);
    ASSERT_EQ(buffer.space().size(), 8U);
    std::ranges::copy(std::string_view("abc"), buffer.space().begin());
    buffer.commit(3);
    EXPECT_EQ(buffer.view(), "abc");
    EXPECT_EQ(buffer.space().size(), 5U);
}

TEST(Buffer, KeepsItsContentWhenItGrowsOrCompacts) {
    Buffer buffer;
    buffer.append(std::string(1000, 'a'));
    buffer.consume(990);
    buffer.append(std::string(1000, 'b'));  // fits once the front is used again
    EXPECT_EQ(buffer.view(), std::string(10, 'a') + std::string(1000, 'b'));
    EXPECT_EQ(buffer.capacity(), 1024U);
    buffer.append(std::string(5000, 'c'));
    EXPECT_EQ(buffer.view(),
              std::string(10, 'a') + std::string(1000, 'b') + std::string(5000, 'c'));
}

TEST(Buffer, CompactsWithoutChangingWhatItHolds) {
    Buffer buffer;
    buffer.append("0123456789");
    buffer.consume(8);
    const auto space = buffer.space().size();
    buffer.compact();
    EXPECT_EQ(buffer.view(), "89");
    EXPECT_EQ(buffer.space().size(), space + 8);
}

TEST(Buffer, AllocatesNothingForContentItHadRoomFor) {
    Buffer buffer;
    buffer.reserve(100);
    const char* const memory = buffer.space().data();
    for (int i = 0; i < 10; ++i) {
        buffer.append(std::string(100, 'x'));
        buffer.clear();
    }
    EXPECT_EQ(buffer.space().data(), memory);
    buffer.reserve(50);
    EXPECT_EQ(buffer.capacity(), 100U);
}

TEST(Buffer, DropsWhatStandsBehind) {
    Buffer buffer;
    buffer.append("0123456789");
    buffer.consume(2);
    buffer.truncate(3);
    EXPECT_EQ(buffer.view(), "234");
}

TEST(Buffer, GivesBackOnlyMemoryAboveWhatIsKept) {
    Buffer buffer;
    buffer.reserve(4096);
    buffer.append("x");
    buffer.shrink(4096);
    EXPECT_TRUE(buffer.empty());
    EXPECT_EQ(buffer.capacity(), 4096U);
    buffer.shrink(4095);
    EXPECT_EQ(buffer.capacity(), 0U);
    buffer.append("usable");
    EXPECT_EQ(buffer.view(), "usable");
}

TEST(Buffer, PrintsNumbers) {
    Buffer buffer;
    buffer.append_number(0);
    buffer.append(' ');
    buffer.append_number(std::numeric_limits<std::uint64_t>::max());
    buffer.append(' ');
    buffer.append_number(0xbeef, 16);
    EXPECT_EQ(buffer.view(), "0 18446744073709551615 beef");
}

}  // namespace
}  // namespace rproxy::http
