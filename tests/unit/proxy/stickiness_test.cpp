#include "proxy/stickiness.h"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace rproxy::proxy {
namespace {

/// Three slots with the cookie values `zero`, `one` and `two`.
class Stickiness : public testing::Test {
protected:
    static std::vector<http::Field> cookie_fields(std::vector<std::string_view> values) {
        std::vector<http::Field> fields{{"Host", "test", http::FieldId::Host}};
        for (const auto value : values) {
            fields.push_back({"Cookie", value, http::FieldId::Cookie});
        }
        return fields;
    }
    std::optional<std::uint32_t> slot(std::vector<std::string_view> values) {
        std::vector<balancing::Member> members;
        for (std::size_t i = 0; i < loads_.size(); ++i) {
            members.push_back({i, 1, eligible_.at(i), &loads_.at(i)});
        }
        const auto policy = balancing::make_policy(balancing::Method::RoundRobin, members, cursor_);
        return sticky_slot(cookies_, cookie_fields(std::move(values)), *policy, excluded_);
    }
    bool needs(std::vector<std::string_view> values, std::uint32_t answered) {
        return needs_cookie(cookies_, cookie_fields(std::move(values)), answered);
    }

    std::array<balancing::Load, 3> loads_;
    std::array<bool, 3> eligible_{true, true, true};
    balancing::Cursor cursor_{0};
    balancing::Excluded excluded_;
    runtime::StickyCookies cookies_{"id", std::chrono::hours{1}, {"zero", "one", "two"}};
};

TEST_F(Stickiness, FindsTheCookieWhereverItStands) {
    EXPECT_EQ(slot({"id=one"}), 1U);
    EXPECT_EQ(slot({"a=b; id=two; c=d"}), 2U);
    EXPECT_EQ(slot({"a=b;id=two"}), 2U);
    EXPECT_EQ(slot({"a=b", "c=d; id=zero"}), 0U);
}

TEST_F(Stickiness, TakesNothingElseForIt) {
    for (const std::string_view value : {"", "id", "id=", "id=three", "ID=one", "xid=one",
                                         "id2=one", "a=id=one", "id=one2", "id=\"one\""}) {
        EXPECT_EQ(slot({value}), std::nullopt) << value;
    }
    EXPECT_EQ(slot({}), std::nullopt);
}

TEST_F(Stickiness, LooksPastACookieThatNamesNobody) {
    EXPECT_EQ(slot({"id=stale; id=one"}), 1U);
    EXPECT_EQ(slot({"id=stale", "id=one"}), 1U);
}

TEST_F(Stickiness, IgnoresABackendThatIsNotOffered) {
    eligible_[1] = false;
    EXPECT_EQ(slot({"id=one"}), std::nullopt);
    EXPECT_EQ(slot({"id=one; id=two"}), 2U);
}

TEST_F(Stickiness, IgnoresABackendThatWasTried) {
    ASSERT_TRUE(excluded_.add(1));
    EXPECT_EQ(slot({"id=one"}), std::nullopt);
}

TEST_F(Stickiness, KnowsWhetherACookieNamesABackendThatIsNotOffered) {
    eligible_[1] = false;
    const auto names = [&](std::string_view value) {
        return names_backend(cookies_, cookie_fields({value}));
    };
    EXPECT_TRUE(names("id=one"));
    EXPECT_TRUE(names("id=stale; id=two"));
    EXPECT_FALSE(names("id=stale"));
    EXPECT_FALSE(names("a=one"));
}

TEST_F(Stickiness, SetsACookieOnlyWhereTheClientHasAnother) {
    EXPECT_FALSE(needs({"id=one"}, 1));
    EXPECT_FALSE(needs({"id=two", "a=b; id=one"}, 1));
    EXPECT_TRUE(needs({"id=two"}, 1));
    EXPECT_TRUE(needs({"id=stale"}, 1));
    EXPECT_TRUE(needs({}, 1));
}

}  // namespace
}  // namespace rproxy::proxy
