#include "balancing/maglev.h"
#include "balancing/methods.h"
#include "balancing/weighted_members.h"

namespace rproxy::balancing {

namespace {

class IpHash final : public MemberPolicy {
public:
    explicit IpHash(std::span<const Member> members) : MemberPolicy(members), table_(members) {}

    std::optional<std::uint32_t> pick(const Pick& pick) const override {
        return choose(pick.hash, pick.excluded);
    }

    Explanation explain(const Question& question) const override {
        Explanation explanation{
            "place among the choices of the client's hash, 0 is its home; the "
            "first one that is offered wins",
            "hash", standings()};
        rank_choices(table_, question.hash, kAttempts, explanation.ranked);
        settle(explanation, choose(question.hash, question.excluded));
        return explanation;
    }

private:
    /// With half of the members away, one client in 2^32 gets past these.
    static constexpr unsigned kAttempts = 32;

    std::optional<std::uint32_t> choose(std::uint64_t hash, const Excluded& excluded) const {
        if (members().empty()) {
            return std::nullopt;
        }
        for (unsigned attempt = 0; attempt < kAttempts; ++attempt) {
            const std::uint32_t slot = table_.choice(hash, attempt);
            if (members().offers(slot) && !excluded.contains(slot)) {
                return slot;
            }
        }
        // Nearly everybody is away.
        const WeightedMembers::Gaps gaps(members(), excluded);
        if (gaps.remaining_weight() == 0) {
            return std::nullopt;
        }
        return members()[members().owner(hash % gaps.remaining_weight(), gaps)].slot;
    }

    MaglevTable table_;
};

}  // namespace

std::unique_ptr<const Policy> make_ip_hash(std::span<const Member> members) {
    return std::make_unique<IpHash>(members);
}

}  // namespace rproxy::balancing
