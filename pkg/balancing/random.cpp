#include "balancing/methods.h"
#include "balancing/weighted_members.h"

namespace rproxy::balancing {

namespace {

class Random final : public MemberPolicy {
public:
    explicit Random(std::span<const Member> members) : MemberPolicy(members) {}

    std::optional<std::uint32_t> pick(const Pick& pick) const override {
        if (members().empty()) {
            return std::nullopt;
        }
        if (pick.excluded.empty()) {
            return members()[members().draw(pick.rng)].slot;
        }
        const WeightedMembers::Gaps gaps(members(), pick.excluded);
        const auto index = members().draw(pick.rng, gaps);
        return index ? std::optional(members()[*index].slot) : std::nullopt;
    }

    Explanation explain(const Question& question) const override {
        Explanation explanation{"share of the weights", "chance", standings()};
        const auto chances =
            members().draw_chances(WeightedMembers::Gaps(members(), question.excluded));
        for (std::size_t i = 0; i < chances.size(); ++i) {
            explanation.ranked[i].score = explanation.ranked[i].chance = chances[i];
        }
        return explanation;
    }
};

}  // namespace

std::unique_ptr<const Policy> make_random(std::span<const Member> members) {
    return std::make_unique<Random>(members);
}

}  // namespace rproxy::balancing
