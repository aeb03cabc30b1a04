#include "http1/head_parser.h"

#include "http/framing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rproxy::http1 {
namespace {

using namespace std::string_literals;

constexpr HeadLimits kLimits;

using End = std::expected<std::optional<std::size_t>, HeadError>;

/// Searches `bytes` arriving in pieces of `piece`, the first of them `first` long.
End find_in_pieces(std::string_view bytes, std::size_t first, std::size_t piece,
                   const HeadLimits& limits = kLimits) {
    HeadScan scan;
    std::size_t arrived = std::min(first, bytes.size());
    while (true) {
        auto end = find_head_end(bytes.substr(0, arrived), limits, scan);
        if (!end || *end || arrived == bytes.size()) {
            return end;
        }
        arrived = std::min(arrived + piece, bytes.size());
    }
}
End find(std::string_view bytes, const HeadLimits& limits = kLimits) {
    return find_in_pieces(bytes, bytes.size(), 1, limits);
}

/// What a head that arrived as a whole is good for.
std::optional<HeadError> request_error(std::string_view bytes, const HeadLimits& limits = kLimits) {
    const auto end = find(bytes, limits);
    if (!end) {
        return end.error();
    }
    EXPECT_TRUE(*end) << "incomplete: " << bytes;
    http::RequestHead head;
    const auto parsed = parse_request_head(bytes.substr(0, end->value_or(0)), limits, head);
    return parsed ? std::nullopt : std::optional{parsed.error()};
}

std::optional<HeadError> response_error(std::string_view bytes) {
    const auto end = find(bytes);
    if (!end) {
        return end.error();
    }
    EXPECT_TRUE(*end) << "incomplete: " << bytes;
    http::ResponseHead head;
    const auto parsed = parse_response_head(bytes.substr(0, end->value_or(0)), kLimits, head);
    return parsed ? std::nullopt : std::optional{parsed.error()};
}

TEST(RequestHead, IsTakenApart) {
    const std::string bytes =
        "POST /a/b?c=d HTTP/1.1\r\n"
        "Host: example.com\r\n"
        "X-Empty:\r\n"
        "X-Spaces: \t a  b \t \r\n"
        "X-Utf8: caf\xc3\xa9\r\n"
        "cOnTeNt-LeNgTh:5\r\n"
        "X_!#$%&'*+-.^`|~9: odd name\r\n"
        "\r\n";
    http::RequestHead head;
    ASSERT_TRUE(parse_request_head(bytes, kLimits, head));
    EXPECT_EQ(head.method, http::Method::Post);
    EXPECT_EQ(head.method_text, "POST");
    EXPECT_EQ(head.target, "/a/b?c=d");
    EXPECT_EQ(head.version, http::Version::Http11);
    const std::vector<std::pair<std::string_view, std::string_view>> fields{
        {"Host", "example.com"},   {"X-Empty", ""},         {"X-Spaces", "a  b"},
        {"X-Utf8", "caf\xc3\xa9"}, {"cOnTeNt-LeNgTh", "5"}, {"X_!#$%&'*+-.^`|~9", "odd name"}};
    ASSERT_EQ(head.fields.size(), fields.size());
    for (std::size_t i = 0; i < fields.size(); ++i) {
        EXPECT_EQ(head.fields[i].name, fields[i].first);
        EXPECT_EQ(head.fields[i].value, fields[i].second);
    }
    EXPECT_EQ(head.fields[0].id, http::FieldId::Host);
    EXPECT_EQ(head.fields[4].id, http::FieldId::ContentLength);
    EXPECT_EQ(head.find(http::FieldId::Host), head.fields.data());
    EXPECT_EQ(head.find(http::FieldId::Cookie), nullptr);
}

TEST(RequestHead, IsReadIntoAUsedObject) {
    http::RequestHead head;
    ASSERT_TRUE(parse_request_head("GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\n\r\n", kLimits, head));
    ASSERT_TRUE(parse_request_head("BREW /pot HTTP/1.0\r\n\r\n", kLimits, head));
    EXPECT_EQ(head.method, http::Method::Other);
    EXPECT_EQ(head.method_text, "BREW");
    EXPECT_EQ(head.version, http::Version::Http10);
    EXPECT_TRUE(head.fields.empty());
}

TEST(RequestHead, HoldsOnlyViewsIntoItsBytes) {
    const std::string bytes = "GET /t HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n";
    http::RequestHead head;
    ASSERT_TRUE(parse_request_head(bytes, kLimits, head));
    const auto inside = [&](std::string_view text) {
        return text.data() >= bytes.data() && text.data() + text.size() <= &*bytes.end();
    };
    EXPECT_TRUE(inside(head.method_text) && inside(head.target));
    for (const auto& field : head.fields) {
        EXPECT_TRUE(inside(field.name) && inside(field.value));
    }
}

// RFC 9112 §2 to §5. Most of these are known ways to make two parsers see two different requests.
const std::vector<std::string>& bad_requests() {
    static const std::vector<std::string> kBad{
        "GET / HTTP/1.1\nHost: h\n\n",  // bare LF
        "GET / HTTP/1.1\r\nHost: h\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n\n",
        "\nGET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\rX\r\n\r\n",  // bare CR
        "GET / HTTP/1.1\r\nA: b\rc\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\r\r\n\r\n",
        "GET / HTTP/1.1\r\nA\r: b\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\0c\r\n\r\n"s,  // NUL
        "GET / HTTP/1.1\r\nA\0: b\r\n\r\n"s,
        "GET /\0 HTTP/1.1\r\n\r\n"s,
        "GET / HTTP/1.1\r\nA: b\x01\r\n\r\n",  // other controls
        "GET / HTTP/1.1\r\nA: b\x7f\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",  // obs-fold, §5.2
        "GET / HTTP/1.1\r\nA: b\r\n\tc\r\n\r\n",
        "GET / HTTP/1.1\r\nA:\r\n c\r\n\r\n",
        "GET / HTTP/1.1\r\nA:\r\n \r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\r\n \r\n\r\n",
        "GET / HTTP/1.1\r\n Host: h\r\n\r\n",  // §2.2
        "GET / HTTP/1.1\r\nHost : h\r\n\r\n",  // §5.1
        "GET / HTTP/1.1\r\nHost\t: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost\r\n\r\n",
        "GET / HTTP/1.1\r\n: h\r\n\r\n",
        "GET / HTTP/1.1\r\nA b: h\r\n\r\n",
        "GET / HTTP/1.1\r\nA(b): h\r\n\r\n",
        "GET / HTTP/1.1\r\nA\xc3\xa9: h\r\n\r\n",
        "GET  / HTTP/1.1\r\n\r\n",  // §3: single spaces
        "GET /  HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1 \r\n\r\n",
        " GET / HTTP/1.1\r\n\r\n",
        "GET\t/\tHTTP/1.1\r\n\r\n",
        "GET /a b HTTP/1.1\r\n\r\n",
        "GET /\r\n\r\n",  // HTTP/0.9
        "GET\r\n\r\n",
        "\r\n\r\n",
        "G@T / HTTP/1.1\r\n\r\n",
        " / HTTP/1.1\r\n\r\n",
        "GET  HTTP/1.1\r\n\r\n",
        "GET / HTTP/2.0\r\n\r\n",
        "GET / HTTP/1.2\r\n\r\n",
        "GET / HTTP/0.9\r\n\r\n",
        "GET / http/1.1\r\n\r\n",
        "GET / HTTP/11\r\n\r\n",
        "GET / HTTP/1.10\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\n",
    };
    return kBad;
}

TEST(RequestHead, IsRefusedWhereTwoParsersCouldDiffer) {
    for (const auto& bytes : bad_requests()) {
        const auto error = request_error(bytes);
        // Both are answered with 400; which of them a garbled version is does not matter.
        EXPECT_TRUE(error == HeadError::BadSyntax || error == HeadError::BadVersion) << bytes;
    }
}

TEST(RequestHead, NamesAVersionThatIsNotSpoken) {
    EXPECT_EQ(request_error("GET / HTTP/2.0\r\n\r\n"), HeadError::BadVersion);
    EXPECT_EQ(request_error("GET / HTTP/1.2\r\n\r\n"), HeadError::BadVersion);
    EXPECT_EQ(response_error("HTTP/2.0 200 OK\r\n\r\n"), HeadError::BadVersion);
}

// Either Beast refuses these or http::request_framing does; nothing may pass both.
TEST(RequestHead, WithAmbiguousFramingPassesNotBothTheParserAndTheFramingRules) {
    for (const std::string_view fields :
         {"Content-Length: 5\r\nContent-Length: 6\r\n",
          "Content-Length: 5\r\nContent-Length: 5\r\n", "Content-Length: 5, 5\r\n",
          "Content-Length: x\r\n", "Content-Length: -1\r\n", "Content-Length: \r\n",
          "Content-Length: 18446744073709551616\r\n",
          "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
          "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
          "Transfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding: chunked, chunked\r\n",
          "Transfer-Encoding: identity\r\n",
          "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"}) {
        const std::string bytes = "POST / HTTP/1.1\r\n" + std::string(fields) + "\r\n";
        http::RequestHead head;
        EXPECT_FALSE(parse_request_head(bytes, kLimits, head) && http::request_framing(head))
            << fields;
    }
}

TEST(HeadEnd, IsFoundAtEverySplitPoint) {
    std::vector<std::string> heads{"GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\nbody\r\n\r\n",
                                   "GET / HTTP/1.1\r\n\r\n", "\r\nGET / HTTP/1.1\r\n\r\n",
                                   "GET / HTTP/1.1\r\nHost: h"};
    for (const auto& bad : bad_requests()) {
        heads.push_back(bad);
    }
    for (const auto& bytes : heads) {
        const End whole = find(bytes);
        for (std::size_t first = 1; first < bytes.size(); ++first) {
            EXPECT_EQ(find_in_pieces(bytes, first, bytes.size()), whole) << bytes << first;
        }
        EXPECT_EQ(find_in_pieces(bytes, 1, 1), whole) << bytes;
    }
}

TEST(HeadEnd, IsBehindTheEmptyLine) {
    EXPECT_EQ(find("GET / HTTP/1.1\r\nA: b\r\n\r\nbody"), End{std::optional<std::size_t>{24}});
    EXPECT_EQ(find("GET / HTTP/1.1\r\nA: b\r\n\r"), End{std::nullopt});
    EXPECT_EQ(find(""), End{std::nullopt});
}

TEST(HeadEnd, RefusesABareLineFeedBeforeTheHeadIsWhole) {
    EXPECT_EQ(find("GET / HTTP/1.1\n"), End{std::unexpected{HeadError::BadSyntax}});
}

TEST(HeadLimits, BoundTheRequestLine) {
    const HeadLimits limits{.header_bytes = 1000, .header_count = 10, .request_line = 20};
    const std::string exact = "GET /12345 HTTP/1.1\r\n\r\n";  // 19 bytes and CR
    EXPECT_EQ(request_error(exact, limits), std::nullopt);
    EXPECT_EQ(request_error("GET /123456 HTTP/1.1\r\n\r\n", limits), HeadError::LineTooLong);
    EXPECT_EQ(find(std::string(21, 'a'), limits), End{std::unexpected{HeadError::LineTooLong}});
    // Other lines are bounded by the whole head only.
    EXPECT_EQ(request_error("GET / HTTP/1.1\r\nA: " + std::string(500, 'b') + "\r\n\r\n", limits),
              std::nullopt);
}

TEST(HeadLimits, BoundTheWholeHead) {
    const HeadLimits limits{.header_bytes = 64, .header_count = 10, .request_line = 64};
    const auto head_of = [](std::size_t size) {
        const std::string fixed = "GET / HTTP/1.1\r\nA: \r\n\r\n";
        return "GET / HTTP/1.1\r\nA: " + std::string(size - fixed.size(), 'b') + "\r\n\r\n";
    };
    EXPECT_EQ(request_error(head_of(64), limits), std::nullopt);
    EXPECT_EQ(request_error(head_of(65), limits), HeadError::TooLarge);
    EXPECT_EQ(find(head_of(200).substr(0, 64), limits), End{std::unexpected{HeadError::TooLarge}});
    EXPECT_EQ(find(head_of(64) + "a body that is long enough", limits),
              End{std::optional<std::size_t>{64}});
}

TEST(HeadLimits, BoundTheNumberOfFields) {
    const HeadLimits limits{.header_bytes = 1000, .header_count = 2, .request_line = 100};
    EXPECT_EQ(request_error("GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\n\r\n", limits), std::nullopt);
    EXPECT_EQ(request_error("GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n", limits),
              HeadError::TooManyFields);
}

TEST(LeadingEmptyLines, AreCountedWhole) {
    EXPECT_EQ(leading_empty_lines("\r\n\r\nGET"), 4U);
    EXPECT_EQ(leading_empty_lines("\r\n\r"), 2U);
    EXPECT_EQ(leading_empty_lines("\rGET"), 0U);
    EXPECT_EQ(leading_empty_lines("GET\r\n"), 0U);
    EXPECT_EQ(leading_empty_lines(""), 0U);
}

TEST(ResponseHead, IsTakenApart) {
    http::ResponseHead head;
    ASSERT_TRUE(
        parse_response_head("HTTP/1.1 404 Not  Found\r\nServer: x\r\nSet-Cookie: a=b\r\n"
                            "Set-Cookie: c=d\r\n\r\n",
                            kLimits, head));
    EXPECT_EQ(head.status, 404);
    EXPECT_EQ(head.reason, "Not  Found");
    EXPECT_EQ(head.version, http::Version::Http11);
    ASSERT_EQ(head.fields.size(), 3U);
    EXPECT_EQ(head.fields[0].id, http::FieldId::Server);
    EXPECT_EQ(head.fields[2].value, "c=d");
}

TEST(ResponseHead, MayHaveNoReason) {
    http::ResponseHead head;
    ASSERT_TRUE(parse_response_head("HTTP/1.0 200 \r\n\r\n", kLimits, head));
    EXPECT_EQ(head.status, 200);
    EXPECT_EQ(head.reason, "");
    EXPECT_EQ(head.version, http::Version::Http10);
}

TEST(ResponseHead, IsRefusedWhereTwoParsersCouldDiffer) {
    for (const std::string& bytes : {
             "HTTP/1.1 200 OK\nA: b\n\n"s,
             "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n"s,
             "HTTP/1.1 200 OK\r\nA:\r\n c\r\n\r\n"s,
             "HTTP/1.1 200 OK\r\nA : b\r\n\r\n"s,
             "HTTP/1.1 200 OK\r\nA: b\0\r\n\r\n"s,
             "HTTP/1.1 200 OK\r\nA: b\rSet-Cookie: c\r\n\r\n"s,
             "HTTP/1.1 200 O\0K\r\n\r\n"s,
             "HTTP/1.1 200 O\rK\r\n\r\n"s,
             "HTTP/1.1 099 Low\r\n\r\n"s,
             "HTTP/1.1 600 High\r\n\r\n"s,
             "HTTP/1.1 20 Short\r\n\r\n"s,
             "HTTP/1.1 2000 Long\r\n\r\n"s,
             "HTTP/1.1 2x0 OK\r\n\r\n"s,
             "HTTP/1.1  200 OK\r\n\r\n"s,
             "HTTP/1.1 200OK\r\n\r\n"s,
             "HTTP/1.2 200 OK\r\n\r\n"s,
             "http/1.1 200 OK\r\n\r\n"s,
             "ICY 200 OK\r\n\r\n"s,
             "GET / HTTP/1.1\r\n\r\n"s,
             "\r\n\r\n"s,
         }) {
        EXPECT_TRUE(response_error(bytes)) << bytes;
    }
}

}  // namespace
}  // namespace rproxy::http1
