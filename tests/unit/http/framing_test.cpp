#include "http/framing.h"

#include "unit/http/heads.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace rproxy::http {
namespace {

using Kind = BodyFraming::Kind;

struct Case {
    std::string_view section;  ///< Of RFC 9112, or 9110 where it says so.
    std::vector<Field> fields;
    std::optional<Kind> kind;  ///< None: refused with `error`.
    std::uint64_t length{0};
    FramingError error{};
    Version version{Version::Http11};
};

const std::vector<Case>& common_cases() {
    static const std::vector<Case> kCases{
        {"6.3 rule 6", fields_of({{"Content-Length", "0"}}), Kind::Length, 0},
        {"6.3 rule 6", fields_of({{"content-length", "42"}}), Kind::Length, 42},
        {"6.3 rule 6", fields_of({{"Content-Length", "007"}}), Kind::Length, 7},
        {"6.3 rule 6", fields_of({{"Content-Length", "5"}}), Kind::Length, 5, {}, Version::Http10},
        {"6.3 rule 4", fields_of({{"Transfer-Encoding", "chunked"}}), Kind::Chunked},
        {"6.3 rule 4", fields_of({{"Transfer-Encoding", "ChunKed"}}), Kind::Chunked},
        {"6.3 rule 3",
         fields_of({{"Transfer-Encoding", "chunked"}, {"Content-Length", "5"}}),
         {},
         0,
         FramingError::LengthAndTransferEncoding},
        {"6.3 rule 3",
         fields_of({{"Content-Length", "0"}, {"Transfer-Encoding", "chunked"}}),
         {},
         0,
         FramingError::LengthAndTransferEncoding},
        {"6.3 rule 5",
         fields_of({{"Content-Length", "5"}, {"Content-Length", "6"}}),
         {},
         0,
         FramingError::SeveralLengths},
        {"6.3 rule 5, stricter",
         fields_of({{"Content-Length", "5"}, {"Content-Length", "5"}}),
         {},
         0,
         FramingError::SeveralLengths},
        {"6.1",
         fields_of({{"Transfer-Encoding", "chunked"}}),
         {},
         0,
         FramingError::TransferEncodingInHttp10,
         Version::Http10},
    };
    return kCases;
}

TEST(Framing, IsDecidedBySection6_3) {
    for (const auto& [section, fields, kind, length, error, version] : common_cases()) {
        for (const auto& framing :
             {request_framing(request("POST", "/", fields, version)),
              response_framing(response(200, "OK", fields, version), Method::Get)}) {
            ASSERT_EQ(framing.has_value(), kind.has_value()) << section;
            if (framing) {
                EXPECT_EQ(framing->kind, kind) << section;
                EXPECT_EQ(framing->length, length) << section;
            } else {
                EXPECT_EQ(framing.error(), error) << section;
            }
        }
    }
}

// RFC 9110 §8.6: digits and nothing else.
TEST(Framing, RefusesALengthThatIsNoNumber) {
    for (const std::string_view value :
         {"", " ", "-1", "+5", "5 ", " 5", "5, 5", "5,5", "0x5", "5a", "5.0", "1e3", "five",
          "18446744073709551616", "99999999999999999999", "9223372036854775808", "\xd9\xa5"}) {
        const auto fields = fields_of({{"Content-Length", value}});
        EXPECT_EQ(request_framing(request("POST", "/", fields)).error(), FramingError::BadLength)
            << "'" << value << "'";
        EXPECT_EQ(response_framing(response(200, "OK", fields), Method::Get).error(),
                  FramingError::BadLength)
            << "'" << value << "'";
    }
}

// RFC 9112 §6.1 and §7: no coding but chunked is known, and nothing that only looks like it.
TEST(Framing, RefusesEveryOtherTransferEncoding) {
    for (const std::string_view value :
         {"", "identity", "gzip", "gzip, chunked", "chunked, gzip", "chunked, chunked", "xchunked",
          "chunkedx", "chunked;q=1", "\"chunked\"", "chunked,", ",chunked", "chu nked",
          "chunked\x0b",
          "\x0b"
          "chunked",
          "chunked\xc2\xa0"}) {
        const auto fields = fields_of({{"Transfer-Encoding", value}});
        EXPECT_EQ(request_framing(request("POST", "/", fields)).error(),
                  FramingError::BadTransferEncoding)
            << "'" << value << "'";
    }
    const auto twice =
        fields_of({{"Transfer-Encoding", "chunked"}, {"Transfer-Encoding", "chunked"}});
    EXPECT_EQ(request_framing(request("POST", "/", twice)).error(),
              FramingError::BadTransferEncoding);
    const auto hidden =
        fields_of({{"Transfer-Encoding", "chunked"}, {"Transfer-Encoding", "identity"}});
    EXPECT_EQ(request_framing(request("POST", "/", hidden)).error(),
              FramingError::BadTransferEncoding);
}

TEST(RequestFraming, IsNoBodyWithoutAFieldThatSaysSo) {
    for (const std::string_view method : {"GET", "POST", "DELETE", "BREW"}) {
        EXPECT_EQ(request_framing(request(method, "/", {}))->kind, Kind::None) << method;
    }
}

TEST(RequestFraming, GivesAnyMethodABody) {
    const auto fields = fields_of({{"Content-Length", "3"}});
    for (const std::string_view method : {"GET", "HEAD", "DELETE", "OPTIONS"}) {
        EXPECT_EQ(request_framing(request(method, "/", fields))->length, 3U) << method;
    }
}

TEST(ResponseFraming, LastsUntilCloseWithoutAFieldThatSaysOtherwise) {
    EXPECT_EQ(response_framing(response(200, "OK", {}), Method::Get)->kind, Kind::UntilClose);
    EXPECT_EQ(response_framing(response(500, "", {}, Version::Http10), Method::Post)->kind,
              Kind::UntilClose);
}

// RFC 9112 §6.3 rule 1.
TEST(ResponseFraming, HasNoBodyWhereTheRequestOrTheStatusSaysSo) {
    constexpr auto kBodyless = std::to_array<std::uint16_t>({100, 101, 103, 199, 204, 304});
    constexpr auto kOthers = std::to_array<std::uint16_t>({200, 205, 206, 303, 404});
    for (const auto& fields : {fields_of({}), fields_of({{"Content-Length", "5"}}),
                               fields_of({{"Transfer-Encoding", "chunked"}})}) {
        EXPECT_EQ(response_framing(response(200, "OK", fields), Method::Head)->kind, Kind::None);
        for (const std::uint16_t status : kBodyless) {
            EXPECT_EQ(response_framing(response(status, "", fields), Method::Get)->kind, Kind::None)
                << status;
        }
        for (const std::uint16_t status : kOthers) {
            EXPECT_NE(response_framing(response(status, "", fields), Method::Get)->kind, Kind::None)
                << status;
        }
    }
}

TEST(ResponseFraming, ChecksTheFieldsOfABodylessResponseToo) {
    const auto bad = fields_of({{"Content-Length", "5"}, {"Content-Length", "6"}});
    EXPECT_FALSE(response_framing(response(200, "OK", bad), Method::Head));
    EXPECT_FALSE(response_framing(response(304, "", bad), Method::Get));
}

TEST(FramingError, SaysWhatIsWrong) {
    EXPECT_EQ(to_string(FramingError::LengthAndTransferEncoding),
              "both Content-Length and Transfer-Encoding");
    EXPECT_EQ(to_string(FramingError::TransferEncodingInHttp10), "Transfer-Encoding in HTTP/1.0");
}

// RFC 9112 §9.3.
TEST(KeepsAlive, FollowsVersionAndConnection) {
    struct AliveCase {
        Version version;
        std::vector<Field> fields;
        bool alive;
    };
    const std::vector<AliveCase> cases{
        {Version::Http11, {}, true},
        {Version::Http11, fields_of({{"Connection", "close"}}), false},
        {Version::Http11, fields_of({{"Connection", "Foo, CLOSE"}}), false},
        {Version::Http11, fields_of({{"Connection", "keep-alive"}, {"Connection", "close"}}),
         false},
        {Version::Http11, fields_of({{"Connection", "closed"}}), true},
        {Version::Http11, fields_of({{"Proxy-Connection", "close"}}), true},
        {Version::Http10, {}, false},
        {Version::Http10, fields_of({{"Connection", "Keep-Alive"}}), true},
        {Version::Http10, fields_of({{"Connection", "keep-alive, close"}}), false},
        {Version::Http10, fields_of({{"Keep-Alive", "timeout=5"}}), false},
    };
    for (const auto& [version, fields, alive] : cases) {
        EXPECT_EQ(keeps_alive(version, fields), alive);
    }
}

// RFC 9110 §7.8.
TEST(WantsUpgrade, NeedsBothFieldsAndHttp11) {
    const auto both = fields_of({{"Connection", "keep-alive, Upgrade"}, {"Upgrade", "websocket"}});
    EXPECT_TRUE(wants_upgrade(request("GET", "/", both)));
    EXPECT_FALSE(wants_upgrade(request("GET", "/", both, Version::Http10)));
    EXPECT_FALSE(wants_upgrade(request("GET", "/", fields_of({{"Upgrade", "websocket"}}))));
    EXPECT_FALSE(wants_upgrade(request("GET", "/", fields_of({{"Connection", "upgrade"}}))));
    EXPECT_FALSE(wants_upgrade(
        request("GET", "/", fields_of({{"Connection", "close"}, {"Upgrade", "websocket"}}))));
}

}  // namespace
}  // namespace rproxy::http
