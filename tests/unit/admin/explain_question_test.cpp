#include "admin/explain.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace rproxy::admin {
namespace {

using Parameters = std::multimap<std::string, std::string>;

TEST(ExplainQuestion, HasSensibleDefaults) {
    const auto question = ExplainQuestion::parse({});
    ASSERT_TRUE(question);
    EXPECT_EQ(question->method, "GET");
    EXPECT_EQ(question->path, "/");
    EXPECT_EQ(question->peer, "127.0.0.1");
    EXPECT_EQ(question->pool, "");
}

TEST(ExplainQuestion, TakesEveryParameter) {
    const auto question = ExplainQuestion::parse(Parameters{{"pool", "web"},
                                                            {"client", "2001:db8::7"},
                                                            {"path", "/a?b=c"},
                                                            {"host", "example.com:8443"},
                                                            {"method", "POST"},
                                                            {"header", "Cookie: a=1; b=2"},
                                                            {"header", "X-Empty:"}});
    ASSERT_TRUE(question) << question.error();
    EXPECT_EQ(question->pool, "web");
    EXPECT_EQ(question->peer, "2001:db8::7");
    EXPECT_EQ(question->path, "/a?b=c");
    EXPECT_EQ(question->host, "example.com:8443");
    EXPECT_EQ(question->method, "POST");
    ASSERT_EQ(question->headers.size(), 2U);
    EXPECT_EQ(question->headers[0].second, "a=1; b=2");
    EXPECT_EQ(question->headers[1].second, "");
}

TEST(ExplainQuestion, SaysWhatIsWrong) {
    struct Case {
        Parameters parameters;
        std::string error;
    };
    const std::vector<Case> cases{
        {{{"cleint", "1.2.3.4"}}, "unknown parameter 'cleint', did you mean 'client'?"},
        {{{"zzz", ""}},
         "unknown parameter 'zzz': there are pool, client, path, header, host and method"},
        {{{"client", "example.com"}}, "client: 'example.com' is not an IPv4 or IPv6 address"},
        {{{"client", ""}}, "client: '' is not an IPv4 or IPv6 address"},
        {{{"method", "GE T"}}, "method: 'GE T' is no HTTP method"},
        {{{"host", "a b"}}, "host: 'a b' is neither a host nor host:port"},
        {{{"path", "/a b"}}, "path: give it as in a request line, percent-encoded, such as /a%20b"},
        {{{"path", ""}}, "path: give it as in a request line, percent-encoded, such as /a%20b"},
        {{{"header", "no colon"}}, "header: 'no colon' is not of the form 'Name: value'"},
        {{{"header", "A B: c"}}, "header: 'A B: c' is not of the form 'Name: value'"},
        {{{"header", "A: b\r\nC: d"}}, "header: the value of 'A' has control characters"},
        {{{"header", "Host: x"}}, "header: give the host by the parameter 'host'"},
        {{{"path", "/a"}, {"path", "/b"}}, "parameter 'path' is given twice"},
    };
    for (const auto& [parameters, error] : cases) {
        const auto question = ExplainQuestion::parse(parameters);
        ASSERT_FALSE(question) << error;
        EXPECT_EQ(question.error(), error);
    }
}

}  // namespace
}  // namespace rproxy::admin
