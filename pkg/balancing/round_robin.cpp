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
        for (int attempt = 0; attempt < kTurns; ++attempt) {
            const std::uint32_t slot = next();
            if (!pick.excluded.contains(slot)) {
                return slot;
            }
        }
        // Most of the turns belong to excluded members.
        const WeightedMembers::Gaps gaps(members(), pick.excluded);
        const auto index = members().draw(pick.rng, gaps);
        return index ? std::optional(members()[*index].slot) : std::nullopt;
    }

private:
    static constexpr int kTurns = 8;

    std::uint32_t next() const {
        const std::uint64_t turn = cursor_.fetch_add(1, std::memory_order_relaxed);
        if (round_.empty()) {
            return members()[turn % members().size()].slot;
        }
        return members()[round_[turn % round_.size()]].slot;
    }

    Cursor& cursor_;
    std::vector<std::uint32_t> round_;  ///< Indices; empty if the weights are equal.
};

}  // namespace

std::unique_ptr<const Policy> make_round_robin(std::span<const Member> members, Cursor& cursor) {
    return std::make_unique<RoundRobin>(members, cursor);
}

}  // namespace rproxy::balancing
