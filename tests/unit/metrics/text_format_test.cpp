#include "metrics/text_format.h"

#include <gtest/gtest.h>

#include <charconv>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

namespace rproxy::metrics {
namespace {

std::string number(double value) {
    std::string text;
    append_number(text, value);
    return text;
}

std::string label_value(std::string_view value) {
    std::string text;
    append_label_value(text, value);
    return text;
}

TEST(TextFormat, WritesNumbersShortAndExact) {
    const std::vector<std::pair<double, std::string>> cases{
        {0, "0"},
        {-0.0, "0"},
        {1, "1"},
        {-17, "-17"},
        {1e6, "1000000"},
        {9007199254740991, "9007199254740991"},
        {9007199254740992, "9007199254740992"},
        {1e300, "1e+300"},
        {0.1, "0.1"},
        {0.0025, "0.0025"},
        {1790000000.123, "1790000000.123"},
        {0.0001, "0.0001"},
        {0.000001, "0.000001"},
        {1e-9, "1e-09"},
        {1.0 / 3, "0.3333333333333333"},
        {std::numeric_limits<double>::infinity(), "+Inf"},
        {-std::numeric_limits<double>::infinity(), "-Inf"},
        {std::numeric_limits<double>::quiet_NaN(), "NaN"},
    };
    for (const auto& [value, text] : cases) {
        EXPECT_EQ(number(value), text);
    }
}

TEST(TextFormat, ReadsBackAsTheSameNumber) {
    for (const double value :
         {0.1 + 0.2, 1e-300, 123456.789, std::nextafter(1.0, 2.0), std::nextafter(9e15, 1e16),
          std::numeric_limits<double>::denorm_min(), std::numeric_limits<double>::max(),
          -std::nextafter(1e-6, 1.0), std::nextafter(9007199254740992.0, 0.0) / 2}) {
        const auto text = number(value);
        double back = 0;
        std::from_chars(text.data(), text.data() + text.size(), back);
        EXPECT_EQ(back, value) << text;
    }
}

TEST(TextFormat, EscapesWhatWouldEndALabelValue) {
    EXPECT_EQ(label_value("10.0.0.1:8080"), "10.0.0.1:8080");
    EXPECT_EQ(label_value("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    EXPECT_EQ(label_value(""), "");
}

TEST(TextFormat, KeepsUtf8AndReplacesWhatIsNot) {
    const std::vector<std::pair<std::string, std::string>> cases{
        {"gr\xC3\xBC\xC3\x9F", "gr\xC3\xBC\xC3\x9F"},
        {"\xE2\x82\xAC", "\xE2\x82\xAC"},
        {"\xF0\x9F\x98\x80", "\xF0\x9F\x98\x80"},
        {"a\xFF"
         "b",
         "a\uFFFD"
         "b"},
        {"\xC3", "\uFFFD"},                                // cut off
        {"\xC0\xAF", "\uFFFD\uFFFD"},                      // overlong
        {"\xE0\x80\x80", "\uFFFD\uFFFD\uFFFD"},            // overlong
        {"\xED\xA0\x80", "\uFFFD\uFFFD\uFFFD"},            // surrogate
        {"\xF4\x90\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD"},  // above U+10FFFF
        {"\xE2\x82\n", "\uFFFD\uFFFD\\n"},
    };
    for (const auto& [raw, text] : cases) {
        EXPECT_EQ(label_value(raw), text);
    }
}

}  // namespace
}  // namespace rproxy::metrics
