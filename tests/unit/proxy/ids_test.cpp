#include "proxy/ids.h"

#include "support/scripted_rng.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace rproxy::proxy {
namespace {

using test::ScriptedRng;

constexpr std::string_view kGood = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

TEST(RequestIds, PassGoodOnesOn) {
    ScriptedRng rng;
    RequestIds ids;
    ids.set("my-id/1:2~", kGood, rng);
    EXPECT_EQ(ids.request_id(), "my-id/1:2~");
    EXPECT_EQ(ids.traceparent(), kGood);
    EXPECT_EQ(ids.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
    EXPECT_EQ(rng.given(), 0U);
}

TEST(RequestIds, MakeWhatIsMissing) {
    ScriptedRng rng({0x0123456789abcdef, 0xfedcba9876543210, 0x00000000000000aa, 0x1, 0x2});
    RequestIds ids;
    ids.set("", "", rng);
    EXPECT_EQ(ids.traceparent(), "00-0123456789abcdeffedcba9876543210-00000000000000ab-01");
    EXPECT_EQ(ids.trace_id(), "0123456789abcdeffedcba9876543210");
    EXPECT_EQ(ids.request_id(), "00000000000000010000000000000002");
}

TEST(RequestIds, NeverMakeAnAllZeroTraceOrParent) {
    ScriptedRng zeros;
    RequestIds ids;
    ids.set("", "", zeros);
    EXPECT_EQ(ids.traceparent(), "00-00000000000000010000000000000000-0000000000000001-01");
}

TEST(RequestIds, AreMadeAnewForTheNextRequest) {
    XoshiroRng rng(1);
    RequestIds ids;
    ids.set("", "", rng);
    const std::string first(ids.request_id());
    const std::string first_trace(ids.trace_id());
    ids.set("", "", rng);
    EXPECT_NE(ids.request_id(), first);
    EXPECT_NE(ids.trace_id(), first_trace);
}

TEST(RequestIds, TakeARequestIdOf1To128VisibleCharacters) {
    ScriptedRng rng({1});
    RequestIds ids;
    const std::string longest(128, '~');
    ids.set(longest, kGood, rng);
    EXPECT_EQ(ids.request_id(), longest);
    for (const std::string& bad : {std::string(129, 'a'), std::string("a b"), std::string("a\tb"),
                                   std::string("\x7f"), std::string("caf\xc3\xa9")}) {
        ids.set(bad, kGood, rng);
        EXPECT_EQ(ids.request_id(), "00000000000000010000000000000001") << bad;
    }
}

struct ParentCase {
    std::string_view text;
    bool good;
};
class Traceparent : public testing::TestWithParam<ParentCase> {};

TEST_P(Traceparent, IsTakenOnlyAsW3CHasIt) {
    ScriptedRng rng({1});
    RequestIds ids;
    ids.set("id", GetParam().text, rng);
    EXPECT_EQ(ids.traceparent() == GetParam().text, GetParam().good) << GetParam().text;
    EXPECT_EQ(rng.given() == 0, GetParam().good);
}

// W3C Trace Context §3.2.2; a later version may carry more behind another hyphen (§3.2.1 and 4).
INSTANTIATE_TEST_SUITE_P(
    Cases, Traceparent,
    testing::Values(
        ParentCase{kGood, true},
        ParentCase{"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", true},
        ParentCase{"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff", true},
        ParentCase{"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true},
        ParentCase{"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes", true},
        ParentCase{"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.what", false},
        ParentCase{"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", false},
        ParentCase{"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false},
        ParentCase{"00-00000000000000000000000000000000-00f067aa0ba902b7-01", false},
        ParentCase{"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false},
        ParentCase{"00-4BF92F3577B34DA6A3CE929D0E0E4736-00F067AA0BA902B7-01", false},
        ParentCase{"0G-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false},
        ParentCase{"00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01", false},
        ParentCase{"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902bg-01", false},
        ParentCase{"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g", false},
        ParentCase{"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1", false},
        ParentCase{"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", false},
        ParentCase{"00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01", false},
        ParentCase{" 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false},
        ParentCase{"00", false}));

}  // namespace
}  // namespace rproxy::proxy
