#include "admin/content_encoding.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace rproxy::admin {
namespace {

TEST(AcceptsGzip, FollowsTheWeightsOfTheField) {
    struct Case {
        std::string_view field;
        bool accepted;
    };
    const std::vector<Case> cases{
        {"", false},
        {"gzip", true},
        {"GZip", true},
        {"x-gzip", true},
        {"deflate, gzip, br", true},
        {"deflate,gzip;q=0.5", true},
        {"gzip;q=0", false},
        {"gzip; q=0.000", false},
        {"gzip;q=0.001", true},
        {"br", false},
        {"gzipped", false},
        {"identity", false},
        {"*", true},
        {"*;q=0", false},
        {"gzip;q=0, *", false},  // what is named is not the rest
        {"*;q=0, gzip", true},
        {"identity;q=0.5, gzip;q=1", true},
    };
    for (const auto& [field, accepted] : cases) {
        EXPECT_EQ(accepts_gzip(field), accepted) << field;
    }
}

TEST(Gzip, MakesOneMemberThatIsSmaller) {
    std::string text;
    for (int i = 0; i < 1000; ++i) {
        text += "rproxy_backend_up{pool=\"web\",backend=\"10.0.0." + std::to_string(i) + "\"} 1\n";
    }
    const std::string packed = gzip(text);
    ASSERT_GT(packed.size(), 18U);
    EXPECT_EQ(packed.substr(0, 3), "\x1f\x8b\x08");  // RFC 1952 §2.3.1
    EXPECT_LT(packed.size() * 5, text.size());
}

TEST(Gzip, TakesTheEmptyText) {
    EXPECT_EQ(gzip("").substr(0, 2), "\x1f\x8b");
}

}  // namespace
}  // namespace rproxy::admin
