#include "proxy/key_watch.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>

namespace rproxy::proxy {
namespace {

/// What a window says in which `of_one` of each hundred requests have one key, and each of the
/// others its own.
std::optional<std::uint64_t> window(KeyWatch& watch, std::uint32_t of_one) {
    constexpr std::uint64_t kOne = 77;
    std::optional<std::uint64_t> verdict;
    for (std::uint32_t i = 0; i < KeyWatch::kWindow; ++i) {
        EXPECT_FALSE(verdict) << "only at the end of a window";
        verdict = watch.add((i * 37) % 100 < of_one ? kOne : 1000 + i);
    }
    return verdict;
}

TEST(KeyWatch, TellsOfAKeyThatHasNearlyAllRequests) {
    KeyWatch watch;
    EXPECT_EQ(window(watch, 100), 77U);
    EXPECT_EQ(window(watch, 95), 77U) << "each window anew";
}

TEST(KeyWatch, IsSilentOtherwise) {
    KeyWatch watch;
    EXPECT_FALSE(window(watch, 90));
    EXPECT_FALSE(window(watch, 60));
    EXPECT_FALSE(window(watch, 0));
}

}  // namespace
}  // namespace rproxy::proxy
