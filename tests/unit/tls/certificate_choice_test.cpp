#include "tls/certificate_choice.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace rproxy::tls {
namespace {

using Set = CertificateChoice::Set;

/// Names of each certificate and its kind, in the order of the configuration.
class Choice {
public:
    struct One {
        std::vector<std::string> names;
        std::size_t kind{0};
    };
    explicit Choice(std::vector<One> all)
        : all_(std::move(all)), choice_([this] {
              std::vector<CertificateChoice::Candidate> candidates;
              for (const auto& one : all_) {
                  candidates.push_back({one.names, one.kind});
              }
              return CertificateChoice(candidates);
          }()) {}
    const Set& of(std::string_view name) const { return choice_.sets()[choice_.find(name)]; }

private:
    std::vector<One> all_;
    CertificateChoice choice_;
};

TEST(CertificateChoice, PrefersTheExactNameToTheWildcard) {
    const Choice choice({{{"a.test"}}, {{"*.b.test"}}, {{"x.b.test"}}});
    EXPECT_EQ(choice.of("x.b.test"), Set{2});
    EXPECT_EQ(choice.of("y.b.test"), Set{1});
    EXPECT_EQ(choice.of("X.B.Test"), Set{2});
}

TEST(CertificateChoice, LetsAWildcardStandForOneLabel) {
    const Choice choice({{{"a.test"}}, {{"*.b.test"}}});
    EXPECT_EQ(choice.of("b.test"), Set{0});
    EXPECT_EQ(choice.of("y.x.b.test"), Set{0});
    EXPECT_EQ(choice.of(".b.test"), Set{0});
    EXPECT_EQ(choice.of("*.b.test"), Set{1});
}

TEST(CertificateChoice, FallsBackToTheFirst) {
    const Choice choice({{{"a.test"}, 0}, {{"b.test"}, 0}, {{"a.test"}, 1}});
    EXPECT_EQ(choice.of(""), (Set{0, 2}));
    EXPECT_EQ(choice.of("unknown"), (Set{0, 2}));
    EXPECT_EQ(Choice({{{}, 0}, {{"b"}, 0}}).of("c"), Set{0});
}

TEST(CertificateChoice, TakesTheFirstOfEachKind) {
    const Choice choice({{{"a.test"}, 0}, {{"a.test"}, 0}, {{"a.test"}, 1}, {{"*.test"}, 2}});
    EXPECT_EQ(choice.of("a.test"), (Set{0, 2, 3})) << "the wildcard fills what is missing";
    EXPECT_EQ(choice.of("b.test"), Set{3});
}

}  // namespace
}  // namespace rproxy::tls
