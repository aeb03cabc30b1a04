#include "balancing/load_tree.h"
#include "balancing/methods.h"
#include "balancing/weighted_load.h"
#include "balancing/weighted_members.h"

#include <array>
#include <span>

namespace rproxy::balancing {

namespace {

/// Up to here reading every count, with nothing to do when one changes, costs a request less than
/// keeping the tree (measured: they meet between 32 and 64).
constexpr std::size_t kScanLimit = 32;

/// A few members: reads them all.
class ScannedLeastConnections final : public MemberPolicy {
public:
    ScannedLeastConnections(std::span<const Member> members, Cursor& cursor)
        : MemberPolicy(members), cursor_(cursor) {}

    std::optional<std::uint32_t> pick(const Pick& pick) const override {
        std::array<const WeightedMembers::Entry*, kScanLimit> best;
        std::size_t ties = 0;
        std::uint64_t tied_weight = 0;
        WeightedLoad least{0, 1};
        for (const WeightedMembers::Entry& entry : members().entries()) {
            if (pick.excluded.contains(entry.slot)) {
                continue;
            }
            const WeightedLoad here{entry.load->in_flight.load(std::memory_order_relaxed),
                                    entry.weight};
            if (ties == 0 || here < least) {
                ties = 0;
                tied_weight = 0;
                least = here;
            } else if (least < here) {
                continue;
            }
            best[ties++] = &entry;
            tied_weight += entry.weight;
        }
        if (ties == 0) {
            return std::nullopt;
        }
        return ties == 1 ? best[0]->slot : one_of(std::span(best).first(ties), tied_weight);
    }

private:
    std::uint32_t one_of(std::span<const WeightedMembers::Entry* const> equals,
                         std::uint64_t weight) const {
        const std::uint64_t turn = cursor_.fetch_add(1, std::memory_order_relaxed);
        if (members().equal_weights()) {
            return equals[turn % equals.size()]->slot;
        }
        std::uint64_t unit = spread_turn(turn, weight);
        for (const auto* const entry : equals) {
            if (unit < entry->weight) {
                return entry->slot;
            }
            unit -= entry->weight;
        }
        return equals.back()->slot;
    }

    Cursor& cursor_;
};

/// Many members: keeps them in a tree.
class TreeLeastConnections final : public MemberPolicy {
public:
    TreeLeastConnections(std::span<const Member> members, Cursor& cursor)
        : MemberPolicy(members), cursor_(cursor), tree_(this->members()) {}

    std::optional<std::uint32_t> pick(const Pick& pick) const override {
        const std::uint64_t turn = cursor_.fetch_add(1, std::memory_order_relaxed);
        tree_.verify(turn);
        if (pick.excluded.empty()) {
            return members()[tree_.least(turn)].slot;
        }
        const WeightedMembers::Gaps gaps(members(), pick.excluded);
        if (gaps.remaining_weight() == 0) {
            return std::nullopt;
        }
        return members()[tree_.least(turn, gaps.indices())].slot;
    }

    void load_changed(std::uint32_t slot) const override {
        if (const auto index = members().index_of(slot)) {
            tree_.update(*index);
        }
    }

private:
    Cursor& cursor_;
    LoadTree tree_;
};

}  // namespace

std::unique_ptr<const Policy> make_least_connections(std::span<const Member> members,
                                                     Cursor& cursor) {
    std::size_t offered = 0;
    for (const Member& member : members) {
        offered += member.eligible && member.weight > 0 ? 1 : 0;
    }
    if (offered <= kScanLimit) {
        return std::make_unique<ScannedLeastConnections>(members, cursor);
    }
    return std::make_unique<TreeLeastConnections>(members, cursor);
}

}  // namespace rproxy::balancing
