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

constexpr std::string_view kMeasure =
    "(requests in flight + 1) / weight, 0 while idle; the lowest wins";

/// A few members: reads them all.
class ScannedLeastConnections final : public MemberPolicy {
public:
    ScannedLeastConnections(std::span<const Member> members, Cursor& cursor)
        : MemberPolicy(members), cursor_(cursor) {}

    std::optional<std::uint32_t> pick(const Pick& pick) const override {
        Best best;
        if (!find_least(pick.excluded, best)) {
            return std::nullopt;
        }
        return best.ties == 1 ? best.entries[0]->slot
                              : one_of(best, cursor_.fetch_add(1, std::memory_order_relaxed));
    }

    Explanation explain(const Question& question) const override {
        Explanation explanation{kMeasure, "score", standings_by_load()};
        Best best;
        if (find_least(question.excluded, best)) {
            explanation.decided_by = best.ties == 1 ? "score" : "score, then turn";
            settle(explanation, one_of(best, cursor_.load(std::memory_order_relaxed)));
        }
        return explanation;
    }

private:
    /// The members that share the lowest load.
    struct Best {
        // Left unset on purpose: clearing it for each request buys nothing.
        std::array<const WeightedMembers::Entry*, kScanLimit> entries;
        std::size_t ties{0};
        std::uint64_t weight{0};
    };

    bool find_least(const Excluded& excluded, Best& best) const {
        WeightedLoad least{0, 1};
        for (const WeightedMembers::Entry& entry : members().entries()) {
            if (excluded.contains(entry.slot)) {
                continue;
            }
            const WeightedLoad here{entry.load->in_flight.load(std::memory_order_relaxed),
                                    entry.weight};
            if (best.ties == 0 || here < least) {
                best.ties = 0;
                best.weight = 0;
                least = here;
            } else if (least < here) {
                continue;
            }
            best.entries[best.ties++] = &entry;
            best.weight += entry.weight;
        }
        return best.ties != 0;
    }

    std::uint32_t one_of(const Best& best, std::uint64_t turn) const {
        const auto equals = std::span(best.entries).first(best.ties);
        if (members().equal_weights()) {
            return equals[turn % equals.size()]->slot;
        }
        std::uint64_t unit = spread_turn(turn, best.weight);
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
        return choose(turn, pick.excluded);
    }

    Explanation explain(const Question& question) const override {
        Explanation explanation{kMeasure, "score, then turn", standings_by_load()};
        settle(explanation, choose(cursor_.load(std::memory_order_relaxed), question.excluded));
        return explanation;
    }

    void load_changed(std::uint32_t slot) const override {
        if (const auto index = members().index_of(slot)) {
            tree_.update(*index);
        }
    }

private:
    std::optional<std::uint32_t> choose(std::uint64_t turn, const Excluded& excluded) const {
        if (excluded.empty()) {
            return members()[tree_.least(turn)].slot;
        }
        const WeightedMembers::Gaps gaps(members(), excluded);
        if (gaps.remaining_weight() == 0) {
            return std::nullopt;
        }
        return members()[tree_.least(turn, gaps.indices())].slot;
    }

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
