#include "log/timestamp.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace rproxy::log {
namespace {

using namespace std::chrono_literals;

std::string text(Timestamp& timestamp, WallTime time) {
    std::string out(Timestamp::kSize, ' ');
    timestamp.write(out.data(), time);
    return out;
}

TEST(Timestamp, IsRfc3339InUtcWithMilliseconds) {
    Timestamp timestamp;
    const WallTime leap_day = std::chrono::sys_days{std::chrono::year{2028} / 2 / 29};
    EXPECT_EQ(text(timestamp, leap_day + 23h + 59min + 58s + 7ms), "2028-02-29T23:59:58.007Z");
    EXPECT_EQ(text(timestamp, leap_day + 23h + 59min + 58s + 999'999us),
              "2028-02-29T23:59:58.999Z");
    EXPECT_EQ(text(timestamp, leap_day + 24h), "2028-03-01T00:00:00.000Z");
    EXPECT_EQ(text(timestamp, WallTime{}), "1970-01-01T00:00:00.000Z");
}

TEST(Timestamp, GoesBackWhenTheClockDoes) {
    Timestamp timestamp;
    const WallTime time = std::chrono::sys_days{std::chrono::year{2026} / 11 / 23};
    text(timestamp, time);
    EXPECT_EQ(text(timestamp, time - 1ms), "2026-11-22T23:59:59.999Z");
    EXPECT_EQ(text(timestamp, WallTime{} - 1ms), "1969-12-31T23:59:59.999Z");
}

}  // namespace
}  // namespace rproxy::log
