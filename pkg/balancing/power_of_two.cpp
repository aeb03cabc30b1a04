#include "balancing/methods.h"
#include "balancing/weighted_load.h"
#include "balancing/weighted_members.h"

namespace rproxy::balancing {

namespace {

class PowerOfTwo final : public MemberPolicy {
public:
    explicit PowerOfTwo(std::span<const Member> members) : MemberPolicy(members) {}

    std::optional<std::uint32_t> pick(const Pick& pick) const override {
        WeightedMembers::Gaps gaps(members(), pick.excluded);
        const auto first = members().draw(pick.rng, gaps);
        if (!first) {
            return std::nullopt;
        }
        gaps.add(*first);
        const auto second = members().draw(pick.rng, gaps);
        if (second && is_less_loaded(members()[*second], members()[*first])) {
            return members()[*second].slot;
        }
        return members()[*first].slot;
    }

    Explanation explain(const Question& question) const override {
        Explanation explanation{
            "(requests in flight + 1) / weight, 0 while idle; the lower of two "
            "drawn wins",
            "chance, then score", standings_by_load()};
        std::vector<double> costs;
        costs.reserve(explanation.ranked.size());
        for (const Standing& standing : explanation.ranked) {
            costs.push_back(*standing.score);
        }
        const WeightedMembers::Gaps gaps(members(), question.excluded);
        set_chances(explanation, chances_of_two(members(), gaps, costs));
        return explanation;
    }

private:
    static bool is_less_loaded(const WeightedMembers::Entry& a, const WeightedMembers::Entry& b) {
        const auto a_load = a.load->in_flight.load(std::memory_order_relaxed);
        const auto b_load = b.load->in_flight.load(std::memory_order_relaxed);
        return WeightedLoad{a_load, a.weight} < WeightedLoad{b_load, b.weight};
    }
};

}  // namespace

std::unique_ptr<const Policy> make_power_of_two(std::span<const Member> members) {
    return std::make_unique<PowerOfTwo>(members);
}

}  // namespace rproxy::balancing
