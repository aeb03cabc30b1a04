#include "base/byte_size.h"
#include "base/duration.h"
#include "base/share.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rproxy {
namespace {

using namespace std::chrono_literals;

TEST(ByteSize, ReadsEveryUnit) {
    const std::vector<std::pair<std::string_view, std::uint64_t>> cases{
        {"0", 0},
        {"1000", 1000},
        {"512B", 512},
        {"16KiB", 16'384},
        {"1MiB", 1'048'576},
        {"2GiB", 2'147'483'648},
        {"3KB", 3'000},
        {"3kB", 3'000},
        {"5MB", 5'000'000},
        {"1GB", 1'000'000'000},
        {"18446744073709551615", std::numeric_limits<std::uint64_t>::max()},
    };
    for (const auto& [text, bytes] : cases) {
        const auto size = ByteSize::parse(text);
        ASSERT_TRUE(size) << text;
        EXPECT_EQ(size->bytes, bytes) << text;
    }
}

TEST(ByteSize, RefusesWhatIsNoSize) {
    for (const std::string_view text :
         {"", "KiB", "-1", "+1", "1.5MiB", "16 KiB", " 16KiB", "16KiB ", "16kib", "16K", "16Kib",
          "0x10", "18446744073709551616", "9999999999GiB"}) {
        EXPECT_FALSE(ByteSize::parse(text)) << "'" << text << "'";
    }
}

TEST(ByteSize, PrintsTheShortestExactFormThatReadsBackTheSame) {
    const std::vector<std::pair<std::uint64_t, std::string_view>> cases{{0, "0"},
                                                                        {1, "1"},
                                                                        {1000, "1000"},
                                                                        {1023, "1023"},
                                                                        {1024, "1KiB"},
                                                                        {1025, "1025"},
                                                                        {16'384, "16KiB"},
                                                                        {1'048'576, "1MiB"},
                                                                        {1536, "1536"},
                                                                        {1'572'864, "1536KiB"},
                                                                        {1ULL << 30U, "1GiB"}};
    for (const auto& [bytes, text] : cases) {
        EXPECT_EQ(ByteSize{bytes}.to_string(), text);
        EXPECT_EQ(ByteSize::parse(text), ByteSize{bytes});
    }
}

TEST(Duration, ReadsUnitsAndMixedForms) {
    const std::vector<std::pair<std::string_view, Duration>> cases{
        {"0", 0ms},      {"0s", 0ms},           {"500ms", 500ms},
        {"5s", 5s},      {"1.5s", 1500ms},      {"1m30s", 90s},
        {"2h", 2h},      {"1d", 24h},           {"1h2m3s4ms", 3'723'004ms},
        {"0.5h", 30min}, {"1m500ms", 60'500ms}, {"90m", 90min}};
    for (const auto& [text, duration] : cases) {
        EXPECT_EQ(parse_duration(text), std::optional{duration}) << text;
    }
}

TEST(Duration, RefusesWhatIsNoDuration) {
    for (const std::string_view text :
         {"", "5", "s", "-5s", "+5s", "5 s", " 5s", "5s ", "5S", "5sec", "30s1m", "1s1s", "1e3s",
          "1us", ".5s", "1.s", "99999999d", "infs", "nans"}) {
        EXPECT_FALSE(parse_duration(text)) << "'" << text << "'";
    }
}

TEST(Duration, PrintsTheCanonicalFormThatReadsBackTheSame) {
    const std::vector<std::pair<Duration, std::string_view>> cases{
        {0ms, "0s"}, {1ms, "1ms"},   {1500ms, "1s500ms"},
        {60s, "1m"}, {90s, "1m30s"}, {3600s, "1h"},
        {24h, "1d"}, {25h, "1d1h"},  {3'723'004ms, "1h2m3s4ms"}};
    for (const auto& [duration, text] : cases) {
        EXPECT_EQ(format_duration(duration), text);
        EXPECT_EQ(parse_duration(text), std::optional{duration}) << text;
    }
}

TEST(Share, ReadsPercentages) {
    const std::vector<std::pair<std::string_view, double>> cases{
        {"0%", 0.0}, {"20%", 0.2}, {"12.5%", 0.125}, {"100%", 1.0}};
    for (const auto& [text, fraction] : cases) {
        const auto share = Share::parse(text);
        ASSERT_TRUE(share) << text;
        EXPECT_DOUBLE_EQ(share->fraction, fraction) << text;
        EXPECT_EQ(share->to_string(), text);
    }
}

TEST(Share, RefusesWhatIsNoShare) {
    for (const std::string_view text : {"", "%", "20", "0.2", "-1%", "+1%", "100.1%", "101%",
                                        "20 %", " 20%", "20.%", "20%%", "1e1%", "nan%", "inf%"}) {
        EXPECT_FALSE(Share::parse(text)) << "'" << text << "'";
    }
}

}  // namespace
}  // namespace rproxy
