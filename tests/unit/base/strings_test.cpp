#include "base/strings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace rproxy {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Strings, LowersOnlyAscii) {
    EXPECT_EQ(to_lower("AbZ@[`{09-É"), "abz@[`{09-É");
}

TEST(Strings, ComparesIgnoringTheCaseOfAsciiOnly) {
    EXPECT_TRUE(equals_ignoring_case("Content-LENGTH", "content-length"));
    EXPECT_TRUE(equals_ignoring_case("", ""));
    EXPECT_FALSE(equals_ignoring_case("a", "ab"));
    // 0x20 apart, but no letters: '@' and '`', '[' and '{'.
    EXPECT_FALSE(equals_ignoring_case("@[", "`{"));
}

TEST(Strings, TrimsSpacesAndTabsAndNothingElse) {
    EXPECT_EQ(trim(" \t a b\t "), "a b");
    EXPECT_EQ(trim("\ra\n"), "\ra\n");
    EXPECT_EQ(trim(" \t "), "");
    EXPECT_EQ(trim(""), "");
}

TEST(Strings, SplitsAtAnySeparatorAndLeavesOutWhatIsEmpty) {
    EXPECT_THAT(split_any("a:1, b:2;;\n c:3 ", ",; \n"), ElementsAre("a:1", "b:2", "c:3"));
    EXPECT_THAT(split_any("abc", ","), ElementsAre("abc"));
    EXPECT_THAT(split_any(",,,", ","), IsEmpty());
    EXPECT_THAT(split_any("", ","), IsEmpty());
}

TEST(NearestWord, FindsWhatWasProbablyMeant) {
    const std::vector<std::string> known{"round_robin", "least_connections", "random", "ip_hash",
                                         "on"};
    EXPECT_EQ(nearest_word("round_robbin", known), "round_robin");
    EXPECT_EQ(nearest_word("least_conections", known), "least_connections");
    EXPECT_EQ(nearest_word("Random", known), "random");
    EXPECT_EQ(nearest_word("ipHash", known), "ip_hash");
    EXPECT_EQ(nearest_word("no", known), "on");  // one swap of neighbours
}

TEST(NearestWord, RefusesToGuessWhatIsTooFar) {
    const std::vector<std::string> known{"round_robin", "random", "up"};
    EXPECT_FALSE(nearest_word("weighted", known));
    EXPECT_FALSE(nearest_word("", known));
    EXPECT_FALSE(nearest_word("upper", known));
    EXPECT_FALSE(nearest_word(std::string(65, 'r'), known));
    EXPECT_FALSE(nearest_word("random", {}));
}

TEST(NearestWord, TakesTheFirstOfEquallyNearOnes) {
    const std::vector<std::string> known{"cart", "card"};
    EXPECT_EQ(nearest_word("carx", known), "cart");
}

}  // namespace
}  // namespace rproxy
