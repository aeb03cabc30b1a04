#include "balancing/methods.h"
#include "balancing/smooth_schedule.h"
#include "balancing/weighted_members.h"

namespace rproxy::balancing {

namespace {

class RoundRobin final : public MemberPolicy {
public:
    RoundRobin(std::span<const Member> members, Cursor& cursor)
        : MemberPolicy(members), cursor_(cursor) {
        if (this->members().equal_weights()) {
            return;  // The round is the members in their order.
        }
        std::vector<std::uint32_t> weights;
        weights.reserve(this->members().size());
        for (const WeightedMembers::Entry& entry : this->members().entries()) {
            weights.push_back(entry.weight);
        }
        round_ = smooth_schedule(weights);
    }

    std::optional<std::uint32_t> pick(const Pick& pick) const override {
        if (members().empty()) {
            return std::nullopt;
        }
        // An excluded member's turn is used up, not given to its neighbour: the next request goes
        // on after the one that was taken, so no member is served twice because another one failed.
        for (unsigned attempt = 0; attempt < kTurns; ++attempt) {
            const std::uint32_t slot = slot_at(cursor_.fetch_add(1, std::memory_order_relaxed));
            if (!pick.excluded.contains(slot)) {
                return slot;
            }
        }
        // Most of the turns belong to excluded members.
        const WeightedMembers::Gaps gaps(members(), pick.excluded);
        const auto index = members().draw(pick.rng, gaps);
        return index ? std::optional(members()[*index].slot) : std::nullopt;
    }

    Explanation explain(const Question& question) const override {
        Explanation explanation{"turns until its own, 0 is next", "turn", standings()};
        if (members().empty()) {
            return explanation;
        }
        const std::uint64_t turn = cursor_.load(std::memory_order_relaxed);
        const std::size_t round = round_.empty() ? members().size() : round_.size();
        for (std::size_t wait = round; wait-- > 0;) {
            explanation.ranked[index_at(turn + wait)].score = static_cast<double>(wait);
        }
        for (unsigned attempt = 0; attempt < kTurns; ++attempt) {
            const std::uint32_t slot = slot_at(turn + attempt);
            if (!question.excluded.contains(slot)) {
                settle(explanation, slot);
                return explanation;
            }
        }
        explanation.decided_by = "chance";
        set_chances(explanation,
                    members().draw_chances(WeightedMembers::Gaps(members(), question.excluded)));
        return explanation;
    }

private:
    static constexpr unsigned kTurns = 8;

    std::uint32_t index_at(std::uint64_t turn) const {
        if (round_.empty()) {
            return static_cast<std::uint32_t>(turn % members().size());
        }
        return round_[turn % round_.size()];
    }
    std::uint32_t slot_at(std::uint64_t turn) const { return members()[index_at(turn)].slot; }

    Cursor& cursor_;
    std::vector<std::uint32_t> round_;  ///< Indices; empty if the weights are equal.
};

}  // namespace

std::unique_ptr<const Policy> make_round_robin(std::span<const Member> members, Cursor& cursor) {
    return std::make_unique<RoundRobin>(members, cursor);
}

}  // namespace rproxy::balancing
