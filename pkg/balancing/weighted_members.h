#pragma once

#include "balancing/policy.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <vector>

namespace rproxy::balancing {

/// The eligible members of a pool with weight above 0, packed: what a policy chooses from. An
/// *index* counts these, in the order of their slots. Weights are divided by their greatest common
/// divisor, for only their ratios mean anything. Immutable; any thread.
class WeightedMembers {
public:
    struct Entry {
        Load* load;
        std::uint32_t weight;
        std::uint32_t slot;
    };

    /// A few members left out of one choice, ordered by index.
    class Gaps {
    public:
        /// The members that `excluded` names; slots that are not offered anyway do not count.
        Gaps(const WeightedMembers& members, const Excluded& excluded);
        /// Leaves out one more; again is no harm.
        void add(std::uint32_t index);
        std::span<const std::uint32_t> indices() const { return {indices_.data(), size_}; }
        /// Of all members but these.
        std::uint64_t remaining_weight() const { return remaining_weight_; }

    private:
        const WeightedMembers& members_;
        std::uint64_t remaining_weight_;
        std::size_t size_{0};
        std::array<std::uint32_t, Excluded::kCapacity + 1> indices_;
    };

    explicit WeightedMembers(std::span<const Member> members);

    std::size_t size() const { return entries_.size(); }
    bool empty() const { return entries_.empty(); }
    const Entry& operator[](std::size_t index) const { return entries_[index]; }
    std::span<const Entry> entries() const { return entries_; }
    std::uint64_t total_weight() const { return total_weight_; }
    bool equal_weights() const { return equal_weights_; }
    bool offers(std::uint32_t slot) const { return index_of(slot).has_value(); }
    std::optional<std::uint32_t> index_of(std::uint32_t slot) const {
        if (slot >= index_of_slot_.size() || index_of_slot_[slot] == kAbsent) {
            return std::nullopt;
        }
        return index_of_slot_[slot];
    }

    /// Lays the members out side by side, each as wide as its weight, and tells whose place `unit`
    /// (below total_weight()) is. Logarithmic; constant if the weights are equal.
    std::uint32_t owner(std::uint64_t unit) const;
    /// The same with the gaps closed; `unit` is below their remaining_weight().
    std::uint32_t owner(std::uint64_t unit, const Gaps& gaps) const;
    /// A member by weighted chance; nothing if all are left out.
    std::optional<std::uint32_t> draw(Rng& rng, const Gaps& gaps) const;
    /// The same without exceptions; there is at least one member.
    std::uint32_t draw(Rng& rng) const;
    /// The chance that draw() takes each member, by index.
    std::vector<double> draw_chances(const Gaps& gaps) const;

private:
    static constexpr std::uint32_t kAbsent = std::numeric_limits<std::uint32_t>::max();
    std::uint64_t begin_of(std::uint32_t index) const { return index == 0 ? 0 : ends_[index - 1]; }

    std::vector<Entry> entries_;
    std::vector<std::uint64_t> ends_;           ///< Running sums of the weights.
    std::vector<std::uint32_t> index_of_slot_;  ///< kAbsent: not offered.
    std::uint64_t total_weight_{0};
    bool equal_weights_{true};
};

/// Of two different members by draw(), the one with the lower cost (the first of equals): the
/// chance of each, by index. `costs` are by index, too.
std::vector<double> chances_of_two(const WeightedMembers& members,
                                   const WeightedMembers::Gaps& gaps,
                                   std::span<const double> costs);

/// What all methods have in common.
class MemberPolicy : public Policy {
public:
    std::size_t eligible() const final { return members_.size(); }
    bool offers(std::uint32_t slot) const final { return members_.offers(slot); }
    bool has_other_than(const Excluded& excluded) const final {
        return std::ranges::any_of(members_.entries(), [&](const WeightedMembers::Entry& entry) {
            return !excluded.contains(entry.slot);
        });
    }

protected:
    explicit MemberPolicy(std::span<const Member> members) : members_(members) {}
    const WeightedMembers& members() const { return members_; }
    /// One standing for each member, by index, with chance 0.
    std::vector<Standing> standings() const;
    /// The same with each one's requests in flight against its weight as the score.
    std::vector<Standing> standings_by_load() const;
    /// Gives the one standing of `slot` chance 1; nobody if there is no slot.
    static void settle(Explanation& explanation, std::optional<std::uint32_t> slot);
    static void set_chances(Explanation& explanation, std::span<const double> chances);

private:
    WeightedMembers members_;
};

}  // namespace rproxy::balancing
