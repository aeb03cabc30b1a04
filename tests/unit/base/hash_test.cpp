#include "base/hash.h"

#include <gtest/gtest.h>

#include <string_view>

namespace rproxy {
namespace {

using namespace std::string_view_literals;

// Computed with another program from the published algorithms. A change here moves every client of
// a hashing pool to another backend, and replicas of two releases would disagree: never adapt them.
TEST(StableHash, IsThatOfEveryRelease) {
    EXPECT_EQ(stable_hash(""), 0xefd01f60ba992926U);
    EXPECT_EQ(stable_hash("a"), 0x82a2a958a9bece5bU);
    EXPECT_EQ(stable_hash("10.0.0.1:8080"), 0xe8c721156ed52b14U);
    EXPECT_EQ(stable_hash("\xff\0\x80"sv), 0x07b5cbebc9388e00U);
    EXPECT_EQ(stable_hash("a", 1), 0x86ede49b2924d824U);
}

TEST(CombineHashes, IsThatOfEveryRelease) {
    EXPECT_EQ(combine_hashes(0, 0), 0x9ca066f1a4ab2eeaU);
    EXPECT_EQ(combine_hashes(1, 2), 0xb533ba0ac2b74202U);
    EXPECT_EQ(combine_hashes(2, 1), 0xe8a60e16b034edb7U);
    EXPECT_EQ(combine_hashes(~0ULL, ~0ULL), 0x84d4f810c3c247f3U);
}

}  // namespace
}  // namespace rproxy
