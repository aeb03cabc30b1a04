#include "runtime/sticky_cookies.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

namespace rproxy::runtime {
namespace {

using namespace std::chrono_literals;

TEST(StickyCookies, FindsTheSlotOfEachValueAndNoOther) {
    std::vector<std::string> values;
    for (int i = 0; i < 1000; ++i) {
        values.push_back("v" + std::to_string((i * 7919) % 1000));
    }
    const StickyCookies cookies("backend", 1h, values);
    for (std::uint32_t slot = 0; slot < values.size(); ++slot) {
        EXPECT_EQ(cookies.slot_of(values[slot]), slot);
    }
    for (const std::string other : {"", "v", "v0 ", "v1000", "V0", "zzz"}) {
        EXPECT_EQ(cookies.slot_of(other), std::nullopt) << other;
    }
}

TEST(StickyCookies, FindNothingInAnEmptyPool) {
    EXPECT_EQ(StickyCookies("backend", 1h, {}).slot_of("a"), std::nullopt);
}

TEST(StickyCookies, SayWhereAndHowLongTheyAreValid) {
    const std::string rest = "; HttpOnly; SameSite=Lax";
    const auto set_cookie = [](Duration ttl) {
        return std::string(StickyCookies("b", ttl, {"x", "y"}).set_cookie(1, false));
    };
    EXPECT_EQ(set_cookie(1h), "b=y; Path=/; Max-Age=3600" + rest);
    EXPECT_EQ(set_cookie(1500ms), "b=y; Path=/; Max-Age=2" + rest);
    EXPECT_EQ(set_cookie(1ms), "b=y; Path=/; Max-Age=1" + rest) << "0 would delete it";
    EXPECT_EQ(set_cookie(0ms), "b=y; Path=/" + rest);
}

TEST(StickyCookies, DoNotTravelWithoutTlsWhereTheyCameByTls) {
    const StickyCookies cookies("b", 0ms, {"x", "y"});
    EXPECT_EQ(cookies.set_cookie(0, true), "b=x; Path=/; HttpOnly; SameSite=Lax; Secure");
    EXPECT_EQ(cookies.set_cookie(0, false), "b=x; Path=/; HttpOnly; SameSite=Lax");
}

}  // namespace
}  // namespace rproxy::runtime
