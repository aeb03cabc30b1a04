#include "log/escape.h"

#include "base/rng.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <string>

namespace rproxy::log {
namespace {

std::string as_json(std::string_view text) {
    std::string out;
    append_json_string(out, text);
    return out;
}

TEST(EscapeJson, LeavesPlainTextAlone) {
    EXPECT_EQ(as_json("/a/long/path?with=nothing&special~"),
              "\"/a/long/path?with=nothing&special~\"");
    EXPECT_EQ(as_json(""), "\"\"");
}

TEST(EscapeJson, EscapesWhatWouldEndTheStringOrTheLine) {
    EXPECT_EQ(as_json("a\"b\\c\nd\re\tf"), R"("a\"b\\c\nd\re\tf")");
    EXPECT_EQ(as_json(std::string_view("\0\x1f", 2)), R"("\u0000\u001f")");
}

TEST(EscapeJson, FindsSpecialBytesAtEveryPositionOfAWord) {
    for (std::size_t at = 0; at < 17; ++at) {
        std::string text(17, 'x');
        text[at] = '"';
        std::string expected(17, 'x');
        expected.replace(at, 1, "\\\"");
        EXPECT_EQ(as_json(text), '"' + expected + '"') << at;
    }
}

TEST(EscapeJson, KeepsValidUtf8) {
    const std::string text = "é €… 😀 \xf4\x8f\xbf\xbf \xed\x9f\xbf";
    EXPECT_EQ(as_json(text), '"' + text + '"');
}

TEST(EscapeJson, ReplacesEachInvalidByte) {
    const std::string r = "\xef\xbf\xbd";
    struct Case {
        std::string text;
        std::string expected;
    };
    const std::vector<Case> cases{
        {"\x80", r},                          // a continuation alone
        {"\xc3", r},                          // cut short
        {"\xc0\xaf", r + r},                  // overlong slash
        {"\xe0\x80\xaf", r + r + r},          // overlong, three bytes
        {"\xed\xa0\x80", r + r + r},          // a surrogate
        {"\xf5\x80\x80\x80", r + r + r + r},  // above U+10FFFF
        {"\xf4\x90\x80\x80", r + r + r + r},  // above U+10FFFF
        {"a\xff"
         "b",
         "a" + r + "b"},
        {"\xc3(", r + "("},
    };
    for (const auto& c : cases) {
        EXPECT_EQ(as_json(c.text), '"' + c.expected + '"');
    }
}

TEST(EscapeJson, MakesEveryByteStringValidJson) {
    XoshiroRng rng(7);
    for (int round = 0; round < 2000; ++round) {
        std::string text(rng.below(40), '\0');
        for (char& c : text) {
            c = static_cast<char>(rng.below(256));
        }
        EXPECT_TRUE(nlohmann::json::accept(as_json(text))) << as_json(text);
    }
}

TEST(TextValue, QuotesOnlyWhatIsAmbiguous) {
    const auto value = [](std::string_view text) {
        std::string out;
        append_text_value(out, text);
        return out;
    };
    EXPECT_EQ(value("10.0.0.1:8080"), "10.0.0.1:8080");
    EXPECT_EQ(value(""), "\"\"");
    EXPECT_EQ(value("two words"), "\"two words\"");
    EXPECT_EQ(value("a=b"), "\"a=b\"");
    EXPECT_EQ(value("x\nforged line"), "\"x\\nforged line\"");
}

}  // namespace
}  // namespace rproxy::log
