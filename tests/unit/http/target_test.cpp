#include "http/target.h"

#include "http/syntax.h"
#include "unit/http/heads.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rproxy::http {
namespace {

struct Good {
    std::string_view method;
    std::string_view target;
    std::string_view host_field;
    std::string_view host;
    std::string_view path;
    std::string_view origin_form;
};

// RFC 9112 §3.2.
TEST(ParseTarget, ReadsEveryForm) {
    const std::vector<Good> cases{
        {"GET", "/", "h", "h", "/", "/"},
        {"GET", "/a/b?c=d?e", "h:80", "h:80", "/a/b", "/a/b?c=d?e"},
        {"GET", "/?", "h", "h", "/", "/?"},
        {"GET", "//a", "h", "h", "//a", "//a"},
        {"GET", "/%00%zz", "h", "h", "/%00%zz", "/%00%zz"},
        {"GET", "http://h/a?b", "h", "h", "/a", "/a?b"},
        {"GET", "HTTP://H/a", "h", "H", "/a", "/a"},
        {"GET", "https://h:443/a", "h:443", "h:443", "/a", "/a"},
        {"GET", "http://h", "h", "h", "/", ""},
        {"GET", "http://h?q", "h", "h", "/", "?q"},
        {"OPTIONS", "*", "h", "h", "*", "*"},
        {"OPTIONS", "/", "h", "h", "/", "/"},
    };
    for (const auto& each : cases) {
        const auto head = request(each.method, each.target, fields_of({{"Host", each.host_field}}));
        const auto target = parse_target(head);
        ASSERT_TRUE(target) << each.target << ": " << to_string(target.error());
        EXPECT_EQ(target->host, each.host) << each.target;
        EXPECT_EQ(target->path, each.path) << each.target;
        EXPECT_EQ(target->origin_form, each.origin_form) << each.target;
    }
}

TEST(ParseTarget, NamesEveryError) {
    struct Bad {
        RequestHead head;
        TargetError error;
    };
    const auto host = fields_of({{"Host", "h"}});
    const std::vector<Bad> cases{
        {request("CONNECT", "h:443", host), TargetError::Connect},
        {request("GET", "/\xc3\xa9", host), TargetError::NotVisibleAscii},
        {request("GET", "/a\x7f", host), TargetError::NotVisibleAscii},
        {request("GET", "/a b", host), TargetError::NotVisibleAscii},
        {request("GET", "/a#b", host), TargetError::Fragment},
        {request("GET", "http://h/#", host), TargetError::Fragment},
        {request("GET", "", host), TargetError::BadForm},
        {request("GET", "a", host), TargetError::BadForm},
        {request("GET", "*", host), TargetError::BadForm},
        {request("OPTIONS", "**", host), TargetError::BadForm},
        {request("GET", "h:80", host), TargetError::BadForm},
        {request("GET", "ftp://h/", host), TargetError::BadForm},
        {request("GET", "http:/h", host), TargetError::BadForm},
        {request("GET", "http://", host), TargetError::BadForm},
        {request("GET", "http:///a", host), TargetError::BadForm},
        {request("GET", "http://?a", host), TargetError::BadForm},
        {request("GET", "http://user@h/", host), TargetError::InvalidHost},
        {request("GET", "http://h:port/", host), TargetError::InvalidHost},
        {request("GET", "http://other/", host), TargetError::ContradictingHost},
        {request("GET", "http://h:80/", host), TargetError::ContradictingHost},
        {request("GET", "/", {}), TargetError::MissingHost},
        {request("GET", "http://h/", {}), TargetError::MissingHost},
        {request("GET", "/", fields_of({{"Host", "h"}, {"Host", "h"}})),
         TargetError::DuplicateHost},
        {request("GET", "/", fields_of({{"Host", "h"}, {"host", "i"}}), Version::Http10),
         TargetError::DuplicateHost},
        {request("GET", "/", fields_of({{"Host", ""}})), TargetError::InvalidHost},
        {request("GET", "/", fields_of({{"Host", "a b"}})), TargetError::InvalidHost},
        {request("GET", "/", fields_of({{"Host", "a,b"}, {"Host", "c"}})),
         TargetError::DuplicateHost},
    };
    for (const auto& [head, error] : cases) {
        const auto target = parse_target(head);
        ASSERT_FALSE(target) << head.target;
        EXPECT_EQ(target.error(), error) << head.target << ": " << to_string(target.error());
        EXPECT_FALSE(to_string(error).empty());
    }
}

TEST(ParseTarget, NeedsNoHostInHttp10) {
    const auto bare = parse_target(request("GET", "/a", {}, Version::Http10));
    ASSERT_TRUE(bare);
    EXPECT_EQ(bare->host, "");
    const auto absolute = parse_target(request("GET", "http://h/a", {}, Version::Http10));
    ASSERT_TRUE(absolute);
    EXPECT_EQ(absolute->host, "h");
}

// RFC 9110 §7.2 and RFC 3986 §3.2.2.
TEST(IsValidHost, FollowsTheGrammar) {
    for (const std::string_view host :
         {"h", "example.com", "EXAMPLE.com:8080", "h:", "10.0.0.1:80", "[::1]", "[::1]:80",
          "[2001:db8::1]:", "a-b_c.d", "a%20b", "~!$&'()*+,;=", "xn--bcher-kva.example", "h:00080",
          "256.256.256.256"}) {
        EXPECT_TRUE(is_valid_host(host)) << host;
    }
    for (const std::string_view host :
         {"",        ":80",        "a b",          "a/b",         "user@h", "h:80:80",    "h:8x",
          "h:+80",   "h:123456",   "[::1",         "::1",         "[]",     "[10.0.0.1]", "[::1]80",
          "[::1]:x", "[::1%25lo]", "[fe80::1%lo]", "a%2",         "a%zz",   "a%",         "h\"",
          "<h>",     "h\\",        "a\tb",         "caf\xc3\xa9", "h?",     "h#"}) {
        EXPECT_FALSE(is_valid_host(host)) << host;
    }
}

TEST(HostWithoutPort, KeepsBrackets) {
    EXPECT_EQ(host_without_port("Example.com:80"), "Example.com");
    EXPECT_EQ(host_without_port("example.com"), "example.com");
    EXPECT_EQ(host_without_port("[::1]:80"), "[::1]");
    EXPECT_EQ(host_without_port("[::1]"), "[::1]");
    EXPECT_EQ(host_without_port(""), "");
}

TEST(IsToken, FollowsTheGrammar) {
    EXPECT_TRUE(is_token("!#$%&'*+-.^_`|~09azAZ"));
    for (const std::string_view bad : {"", "a b", "a:", "a/", "(a)", "a@b", "\"a\"", "a\x7f",
                                       "caf\xc3\xa9", "a,b", "{a}", "[a]", "a\\", "a=b", "a?"}) {
        EXPECT_FALSE(is_token(bad)) << bad;
    }
}

// RFC 3986 §5.2.4 and §6.2.2.
TEST(NormalizedPath, IsWhatRoutingSees) {
    const std::vector<std::pair<std::string_view, std::string_view>> cases{
        {"/", "/"},
        {"/a/b", "/a/b"},
        {"/a/./b", "/a/b"},
        {"/a/../b", "/b"},
        {"/a/b/..", "/a/"},
        {"/a/b/.", "/a/b/"},
        {"/..", "/"},
        {"/.", "/"},
        {"/../../x", "/x"},
        {"/a/b/c/./../../g", "/a/g"},
        {"/a/..b/.c/...", "/a/..b/.c/..."},
        {"/public/%2e%2e/admin", "/admin"},
        {"/public/%2E./admin", "/admin"},
        {"/public/.%2e", "/"},
        {"/%61dmin", "/admin"},
        {"/a%2Fb", "/a%2Fb"},
        {"/a%2f..", "/a%2f.."},
        {"/a%252e%252e/b", "/a%252e%252e/b"},  // decoded once, as the backend will
        {"/a%00", "/a%00"},
        {"/a%", "/a%"},
        {"/a%4", "/a%4"},
        {"/a%zz", "/a%zz"},
        {"/%7Euser", "/~user"},
        {"/caf%C3%A9", "/caf%C3%A9"},
        {"//a//b", "//a//b"},
        {"/a//../b", "/a/b"},
    };
    for (const auto& [path, normalized] : cases) {
        EXPECT_EQ(normalized_path(path), normalized) << path;
        if (path != normalized) {
            EXPECT_TRUE(needs_normalizing(path)) << path;
        }
        EXPECT_EQ(normalized_path(normalized), normalized) << path;
    }
    EXPECT_FALSE(needs_normalizing("/a/b.c/d"));
}

}  // namespace
}  // namespace rproxy::http
