#include "balancing/load_tree.h"
#include "balancing/methods.h"
#include "balancing/weighted_members.h"

#include <array>

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
        std::array<std::uint32_t, kScanLimit> best;
        std::size_t ties = 0;
        std::uint64_t best_load = 0;
        std::uint64_t best_weight = 0;
        for (const WeightedMembers::Entry& entry : members().entries()) {
            if (pick.excluded.contains(entry.slot)) {
                continue;
            }
            const std::uint64_t load =
                std::uint64_t{entry.load->in_flight.load(std::memory_order_relaxed)} + 1;
            // Fractions are compared multiplied out: exact, and no division.
            const std::uint64_t here = load * best_weight;
            const std::uint64_t there = best_load * entry.weight;
            if (ties == 0 || here < there) {
                ties = 0;
                best_load = load;
                best_weight = entry.weight;
            } else if (here > there) {
                continue;
            }
            best[ties++] = entry.slot;
        }
        if (ties == 0) {
            return std::nullopt;
        }
        return ties == 1 ? best[0] : best[cursor_.fetch_add(1, std::memory_order_relaxed) % ties];
    }

private:
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
