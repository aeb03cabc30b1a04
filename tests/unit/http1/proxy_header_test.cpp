#include "http1/proxy_header.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rproxy::http1 {
namespace {

constexpr std::string_view kSignature{"\r\n\r\n\0\r\nQUIT\n", 12};
constexpr std::string_view kRequest = "GET / HTTP/1.1\r\n";

/// A version 2 header whose length field is that of `rest`.
std::string binary(std::uint8_t command, std::uint8_t family, std::string_view rest) {
    std::string text(kSignature);
    text += static_cast<char>(command);
    text += static_cast<char>(family);
    text += static_cast<char>(rest.size() >> 8U);
    text += static_cast<char>(rest.size() & 255U);
    text += rest;
    return text;
}

const std::string kIpv4Block("\xc0\x00\x02\x07\x0a\x00\x00\x01\xdc\x04\x01\xbb", 12);

std::string ipv6_block() {
    std::string block(36, '\0');
    block[0] = '\x20';
    block[1] = '\x01';
    block[2] = '\x0d';
    block[3] = '\xb8';
    block[15] = '\x07';
    block[32] = '\xdc';
    block[33] = '\x04';
    return block;
}

struct Accepted {
    std::string name;
    std::string header;
    std::string source;  // empty: none
};

std::vector<Accepted> accepted() {
    return {
        {"TCP4", "PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\r\n", "192.0.2.7:56324"},
        {"TCP6", "PROXY TCP6 2001:db8::7 ::1 56324 443\r\n", "2001:db8::7:56324"},
        {"port zero", "PROXY TCP4 192.0.2.7 10.0.0.1 0 443\r\n", "192.0.2.7:0"},
        {"mapped", "PROXY TCP6 ::ffff:192.0.2.7 ::1 56324 443\r\n", "192.0.2.7:56324"},
        {"UNKNOWN", "PROXY UNKNOWN\r\n", ""},
        {"UNKNOWN with addresses", "PROXY UNKNOWN 192.0.2.7 what ever\r\n", ""},
        {"longest line", "PROXY UNKNOWN " + std::string(91, 'f') + "\r\n", ""},
        {"TCP over IPv4", binary(0x21, 0x11, kIpv4Block), "192.0.2.7:56324"},
        {"UDP over IPv4", binary(0x21, 0x12, kIpv4Block), "192.0.2.7:56324"},
        {"TCP over IPv6", binary(0x21, 0x21, ipv6_block()), "2001:db8::7:56324"},
        {"additions", binary(0x21, 0x11, kIpv4Block + std::string("\x04\x00\x02xy", 5)),
         "192.0.2.7:56324"},
        {"largest", binary(0x21, 0x11, kIpv4Block + std::string(65535 - 12, '\0')),
         "192.0.2.7:56324"},
        {"AF_UNIX", binary(0x21, 0x31, std::string(216, 'u')), ""},
        {"AF_UNSPEC", binary(0x21, 0x00, ""), ""},
        {"AF_UNSPEC with a block", binary(0x21, 0x00, kIpv4Block), ""},
        {"IPv4 of unknown transport", binary(0x21, 0x10, kIpv4Block), ""},
        {"LOCAL", binary(0x20, 0x00, ""), ""},
        {"LOCAL with addresses", binary(0x20, 0x11, kIpv4Block), ""},
        {"LOCAL of any family", binary(0x20, 0xff, "abc"), ""},
    };
}

TEST(ProxyHeader, NamesTheSourceAndItsOwnSize) {
    for (const auto& [name, header, source] : accepted()) {
        const auto parsed = parse_proxy_header(header + std::string(kRequest));
        ASSERT_TRUE(parsed && *parsed) << name;
        EXPECT_EQ((*parsed)->size, header.size()) << name;
        const auto& got = (*parsed)->source;
        EXPECT_EQ(got ? got->ip.to_string() + ":" + std::to_string(got->port) : "", source) << name;
    }
}

TEST(ProxyHeader, WaitsForMoreAtEveryByte) {
    for (const auto& [name, header, source] : accepted()) {
        for (std::size_t size = 0; size < header.size(); ++size) {
            const auto parsed = parse_proxy_header(std::string_view(header).substr(0, size));
            ASSERT_TRUE(parsed) << name << " after " << size;
            ASSERT_FALSE(*parsed) << name << " after " << size;
        }
    }
}

TEST(ProxyHeader, RefusesMalformedLines) {
    for (const std::string line : {
             "PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\n",
             "PROXY TCP4 192.0.2.7\r 10.0.0.1 56324 443\r\n",
             "PROXY UNKNOWN \r \r\n",
             "PROXY TCP4  192.0.2.7 10.0.0.1 56324 443\r\n",
             "PROXY TCP4 192.0.2.7 10.0.0.1 56324 443 \r\n",
             "PROXY TCP4 192.0.2.7 10.0.0.1 56324 443 1\r\n",
             "PROXY TCP4 192.0.2.7 10.0.0.1 56324\r\n",
             "PROXY TCP4 192.0.2.7\r\n",
             "PROXY TCP4\r\n",
             "PROXY \r\n",
             "PROXY TCP4 192.0.2.7 10.0.0.1 056324 443\r\n",
             "PROXY TCP4 192.0.2.7 10.0.0.1 +1 443\r\n",
             "PROXY TCP4 192.0.2.7 10.0.0.1 65536 443\r\n",
             "PROXY TCP4 192.0.2.7 10.0.0.1 1 00\r\n",
             "PROXY TCP4 192.0.2.07 10.0.0.1 1 443\r\n",
             "PROXY TCP4 192.0.2 10.0.0.1 1 443\r\n",
             "PROXY TCP4 192.0.2.7 ten 1 443\r\n",
             "PROXY TCP4 2001:db8::7 ::1 1 443\r\n",
             "PROXY TCP6 192.0.2.7 10.0.0.1 1 443\r\n",
             "PROXY TCP6 [::1] ::1 1 443\r\n",
             "PROXY TCP6 fe80::1%eth0 ::1 1 443\r\n",
             "PROXY UDP4 192.0.2.7 10.0.0.1 1 443\r\n",
             "PROXY UNKNOWNS\r\n",
             "PROXY tcp4 192.0.2.7 10.0.0.1 1 443\r\n",
         }) {
        const auto parsed = parse_proxy_header(line);
        ASSERT_FALSE(parsed) << line;
        EXPECT_EQ(parsed.error(), ProxyHeaderError::Malformed) << line;
    }
}

TEST(ProxyHeader, GivesUpALineThatDoesNotEnd) {
    const std::string line = "PROXY UNKNOWN " + std::string(200, 'f');
    EXPECT_TRUE(parse_proxy_header(std::string_view(line).substr(0, 106)));
    const auto parsed = parse_proxy_header(std::string_view(line).substr(0, 107));
    ASSERT_FALSE(parsed);
    EXPECT_EQ(parsed.error(), ProxyHeaderError::Malformed);
}

TEST(ProxyHeader, RefusesMalformedBinary) {
    const std::vector<std::pair<std::string, std::string>> headers{
        {"version 1", binary(0x11, 0x11, kIpv4Block)},
        {"version 3", binary(0x31, 0x11, kIpv4Block)},
        {"command 2", binary(0x22, 0x11, kIpv4Block)},
        {"family 4", binary(0x21, 0x41, kIpv4Block)},
        {"transport 3", binary(0x21, 0x13, kIpv4Block)},
        {"short IPv4", binary(0x21, 0x11, kIpv4Block.substr(0, 11))},
        {"short IPv6", binary(0x21, 0x21, ipv6_block().substr(0, 35))},
        {"short unix", binary(0x21, 0x31, std::string(215, 'u'))},
        {"no block", binary(0x21, 0x11, "")},
    };
    for (const auto& [name, header] : headers) {
        const auto parsed = parse_proxy_header(header);
        ASSERT_FALSE(parsed) << name;
        EXPECT_EQ(parsed.error(), ProxyHeaderError::Malformed) << name;
    }
}

TEST(ProxyHeader, RefusesABadCommandOrFamilyBeforeTheRest) {
    EXPECT_FALSE(parse_proxy_header(binary(0x22, 0x11, "").substr(0, 13)));
    EXPECT_FALSE(parse_proxy_header(binary(0x21, 0x41, "").substr(0, 14)));
}

TEST(ProxyHeader, TellsWhatIsNoHeaderAtItsFirstByte) {
    std::string broken_signature(kSignature);
    broken_signature[11] = ' ';
    for (const std::string& bytes :
         {std::string("G"), std::string("GET / HTTP/1.1\r\n"), std::string("PROXX"),
          std::string("\r\n\r\nG"), std::string("proxy"), std::string("\0", 1), broken_signature}) {
        const auto parsed = parse_proxy_header(bytes);
        ASSERT_FALSE(parsed) << bytes;
        EXPECT_EQ(parsed.error(), ProxyHeaderError::Missing) << bytes;
    }
}

}  // namespace
}  // namespace rproxy::http1
