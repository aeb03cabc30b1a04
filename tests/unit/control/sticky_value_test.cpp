#include "control/sticky_value.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace rproxy::control {
namespace {

TEST(StickyValue, StaysTheSameInEveryReleaseAndReplica) {
    // As computed with Python's hmac: another value would move every client at an upgrade.
    EXPECT_EQ(sticky_value({"web", "10.0.0.1:8080"}, "rproxy_backend"), "0GkIBovvwZlDH0IxI-VRqQ");
    EXPECT_EQ(sticky_value({"web", "[2001:db8::1]:80"}, "rproxy_backend"),
              "lQJU9bAm_V7ONvUvQyutpg");
    EXPECT_EQ(sticky_value({"default", "10.0.0.1:8080"}, "rproxy_backend"),
              "aN2ZjZpptWCJM0aoK3nLMw");
}

TEST(StickyValue, DiffersByPoolCookieAndAddress) {
    std::set<std::string> values;
    for (const std::string pool : {"a", "b", "a.b"}) {
        for (const std::string cookie : {"c", "d"}) {
            for (int port = 1; port <= 100; ++port) {
                values.insert(sticky_value({pool, "10.0.0.1:" + std::to_string(port)}, cookie));
            }
        }
    }
    EXPECT_EQ(values.size(), 600U);
}

TEST(StickyValue, DoesNotMixUpWhereANameEnds) {
    EXPECT_NE(sticky_value({"ab", "10.0.0.1:80"}, "c"), sticky_value({"a", "10.0.0.1:80"}, "bc"));
}

}  // namespace
}  // namespace rproxy::control
