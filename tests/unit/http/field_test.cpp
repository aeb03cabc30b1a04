#include "http/field.h"

#include "base/strings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rproxy::http {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const std::vector<std::pair<std::string_view, FieldId>>& known() {
    static const std::vector<std::pair<std::string_view, FieldId>> kKnown{
        {"Connection", FieldId::Connection},
        {"Content-Length", FieldId::ContentLength},
        {"Cookie", FieldId::Cookie},
        {"Expect", FieldId::Expect},
        {"Forwarded", FieldId::Forwarded},
        {"Host", FieldId::Host},
        {"Keep-Alive", FieldId::KeepAlive},
        {"Location", FieldId::Location},
        {"Proxy-Authenticate", FieldId::ProxyAuthenticate},
        {"Proxy-Connection", FieldId::ProxyConnection},
        {"Server", FieldId::Server},
        {"TE", FieldId::Te},
        {"Traceparent", FieldId::Traceparent},
        {"Trailer", FieldId::Trailer},
        {"Transfer-Encoding", FieldId::TransferEncoding},
        {"Upgrade", FieldId::Upgrade},
        {"X-Forwarded-For", FieldId::XForwardedFor},
        {"X-Forwarded-Host", FieldId::XForwardedHost},
        {"X-Forwarded-Port", FieldId::XForwardedPort},
        {"X-Forwarded-Proto", FieldId::XForwardedProto},
        {"X-Powered-By", FieldId::XPoweredBy},
        {"X-Request-Id", FieldId::XRequestId},
        {"X-Rproxy-Reason", FieldId::XRproxyReason},
    };
    return kKnown;
}

TEST(Classify, KnowsEachNameInAnyCase) {
    for (const auto& [name, id] : known()) {
        EXPECT_EQ(classify(name), id) << name;
        EXPECT_EQ(classify(to_lower(name)), id) << name;
        std::string upper(name);
        for (char& c : upper) {
            c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
        }
        EXPECT_EQ(classify(upper), id) << name;
    }
}

TEST(Classify, TakesNothingThatOnlyResemblesAName) {
    for (const auto& [name, id] : known()) {
        const std::string text(name);
        EXPECT_EQ(classify(text + "x"), FieldId::Other) << text;
        EXPECT_EQ(classify(text.substr(1)), FieldId::Other) << text;
        std::string underscores = text;
        std::ranges::replace(underscores, '-', '_');
        if (underscores != text) {
            EXPECT_EQ(classify(underscores), FieldId::Other) << text;
        }
        for (std::size_t i = 0; i < text.size(); ++i) {
            std::string changed = text;
            changed[i] = static_cast<char>(changed[i] ^ 0x40);
            EXPECT_EQ(classify(changed), FieldId::Other) << changed;
        }
    }
    for (const std::string_view name : {"", "Accept", "X", "Content-Type", "\xc3\xa9"}) {
        EXPECT_EQ(classify(name), FieldId::Other) << name;
    }
}

std::vector<std::string_view> elements(std::string_view list) {
    std::vector<std::string_view> result;
    for_each_element(list, [&](std::string_view element) {
        result.push_back(element);
        return true;
    });
    return result;
}

// RFC 9110 §5.6.1.2: a recipient takes empty elements and white space around commas.
TEST(ForEachElement, SkipsEmptyElementsAndWhiteSpace) {
    EXPECT_THAT(elements("a,b"), ElementsAre("a", "b"));
    EXPECT_THAT(elements(" a\t, ,,b c ,"), ElementsAre("a", "b c"));
    EXPECT_THAT(elements(""), IsEmpty());
    EXPECT_THAT(elements(" , ,"), IsEmpty());
}

TEST(ForEachElement, StopsWhenTold) {
    int seen = 0;
    for_each_element("a,b,c", [&](std::string_view) { return ++seen < 2; });
    EXPECT_EQ(seen, 2);
}

TEST(ListContains, ComparesWholeElementsIgnoringCase) {
    EXPECT_TRUE(list_contains("keep-alive, Upgrade", "upgrade"));
    EXPECT_TRUE(list_contains("CLOSE", "close"));
    EXPECT_FALSE(list_contains("close-ish, not close", "close"));
    EXPECT_FALSE(list_contains("", "close"));
}

TEST(CookieValue, FindsACookieAmongOthers) {
    const std::string_view cookies = "a=1; session=x=y==; Session=2;empty=; noequals; a=3";
    EXPECT_EQ(cookie_value(cookies, "a"), "1");  // the first of a name
    EXPECT_EQ(cookie_value(cookies, "session"), "x=y==");
    EXPECT_EQ(cookie_value(cookies, "Session"), "2");  // names are case-sensitive
    EXPECT_EQ(cookie_value(cookies, "empty"), "");
    EXPECT_EQ(cookie_value(cookies, "noequals"), "");
    EXPECT_EQ(cookie_value(cookies, "ession"), "");
    EXPECT_EQ(cookie_value("", "a"), "");
}

}  // namespace
}  // namespace rproxy::http
