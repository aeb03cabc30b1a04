#include "base/ip_address.h"

#include <gtest/gtest.h>

#include <string_view>
#include <utility>
#include <vector>

namespace rproxy {
namespace {

using namespace std::string_view_literals;

TEST(IpAddress, PrintsWhatItReadInCanonicalForm) {
    const std::vector<std::pair<std::string_view, std::string_view>> cases{
        {"0.0.0.0", "0.0.0.0"},
        {"255.255.255.255", "255.255.255.255"},
        {"::", "::"},
        {"::1", "::1"},
        {"2001:0DB8::0001", "2001:db8::1"},
        {"::ffff:10.0.0.1", "10.0.0.1"},
        {"::ffff:a00:1", "10.0.0.1"},
    };
    for (const auto& [text, canonical] : cases) {
        const auto address = IpAddress::parse(text);
        ASSERT_TRUE(address) << text;
        EXPECT_EQ(address->to_string(), canonical);
    }
}

TEST(IpAddress, RefusesWhatIsNoAddress) {
    for (const auto text : {""sv, "1.2.3"sv, "1.2.3.4.5"sv, "1.2.3.256"sv, "01.2.3.4"sv, "0x7f.1"sv,
                            " 1.2.3.4"sv, "1.2.3.4 "sv, "1.2.3.4:80"sv, "[::1]"sv, "::1%lo"sv,
                            ":::"sv, "localhost"sv, "1.2.3.4\0"sv, "1.2.3.4\0x"sv}) {
        EXPECT_FALSE(IpAddress::parse(text)) << text;
    }
}

TEST(IpAddress, HoldsAMappedAddressAsTheIPv4OneItIs) {
    const auto mapped = *IpAddress::parse("::ffff:192.0.2.1");
    EXPECT_TRUE(mapped.is_v4());
    EXPECT_EQ(mapped, IpAddress::v4(0xc0000201));
    EXPECT_EQ(mapped.to_v4(), 0xc0000201U);
    EXPECT_EQ(IpAddress::v6(mapped.bytes()), mapped);
    EXPECT_EQ(mapped.hash(), IpAddress::v4(0xc0000201).hash());
}

TEST(IpAddress, IsAllZeroesByDefault) {
    EXPECT_EQ(IpAddress{}, *IpAddress::parse("0.0.0.0"));
}

TEST(IpAddress, KnowsLoopback) {
    for (const auto text : {"127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1"}) {
        EXPECT_TRUE(IpAddress::parse(text)->is_loopback()) << text;
    }
    for (const auto text : {"126.0.0.1", "128.0.0.1", "::", "::2", "1::1"}) {
        EXPECT_FALSE(IpAddress::parse(text)->is_loopback()) << text;
    }
}

// Replicas choose by these and clients stay with their backend over an update of rproxy.
TEST(IpAddress, HashesAreThoseOfEveryRelease) {
    EXPECT_EQ(IpAddress::parse("10.0.0.1")->hash(), 0x39345aa6296aa692U);
    EXPECT_EQ(IpAddress::parse("::1")->hash(), 0xe5fdc025e13eeed5U);
    EXPECT_EQ(IpAddress::parse("2001:db8::1")->hash(), 0xf1aad226f9aaa6b3U);
}

TEST(Cidr, ContainsWhatItsPrefixCovers) {
    struct Case {
        std::string_view network;
        std::string_view address;
        bool inside;
    };
    const std::vector<Case> cases{
        {"10.0.0.0/8", "10.255.255.255", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"10.0.0.0/9", "10.127.0.0", true},
        {"10.0.0.0/9", "10.128.0.0", false},
        {"10.1.2.3/8", "10.9.9.9", true},
        {"10.0.0.1", "10.0.0.1", true},
        {"10.0.0.1", "10.0.0.2", false},
        {"10.0.0.1/31", "10.0.0.0", true},
        {"0.0.0.0/0", "203.0.113.9", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "10.0.0.1", false},
        {"2001:db8::/32", "2001:db8:ffff::", true},
        {"2001:db8::/32", "2001:db9::", false},
        {"2001:db8::/33", "2001:db8:8000::", false},
        {"::1", "::1", true},
        {"10.0.0.0/8", "::ffff:10.1.1.1", true},
    };
    for (const auto& [network, address, inside] : cases) {
        EXPECT_EQ(Cidr::parse(network)->contains(*IpAddress::parse(address)), inside)
            << network << " " << address;
    }
}

TEST(Cidr, PrintsItsPrefixAlways) {
    EXPECT_EQ(Cidr::parse("10.0.0.1")->to_string(), "10.0.0.1/32");
    EXPECT_EQ(Cidr::parse("::1")->to_string(), "::1/128");
    EXPECT_EQ(Cidr::parse("10.0.0.0/8")->to_string(), "10.0.0.0/8");
}

TEST(Cidr, RefusesWhatIsNoNetwork) {
    for (const std::string_view text :
         {"", "/8", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/-1", "10.0.0.0/8/8",
          "10.0.0.0/8 ", "10/8", "name/8", "10.0.0.0/255.0.0.0"}) {
        EXPECT_FALSE(Cidr::parse(text)) << text;
    }
}

}  // namespace
}  // namespace rproxy
