#include "balancing/load_tree.h"

#include "balancing/weighted_load.h"

#include <algorithm>
#include <bit>

namespace rproxy::balancing {

namespace {

/// By how many bits weights are cut so that their sum, none below 1, is at most `most`.
unsigned shift_for(const WeightedMembers& members, std::uint64_t most) {
    unsigned shift = 0;
    while ((members.total_weight() >> shift) + members.size() > most) {
        ++shift;
    }
    return shift;
}

}  // namespace

LoadTree::LoadTree(const WeightedMembers& members)
    : members_(members),
      weight_shift_(shift_for(members, kWeightMask)),
      leaves_(std::bit_ceil(members.size())),
      nodes_(2 * leaves_) {
    for (std::size_t at = 2 * leaves_ - 1; at > 0; --at) {
        const Node value =
            at >= leaves_ ? leaf_value(at) : merged(node(2 * at), node((2 * at) + 1));
        nodes_[at].store(value, std::memory_order_relaxed);
    }
}

LoadTree::Node LoadTree::merged(Node left, Node right) {
    if (load_of(left) == load_of(right)) {
        return left + weight_of(right);
    }
    return std::min(left, right);
}

LoadTree::Node LoadTree::leaf_value(std::size_t at) const {
    const std::size_t index = at - leaves_;
    if (index >= members_.size()) {
        return kNobody;
    }
    const WeightedMembers::Entry& entry = members_[index];
    const auto in_flight = entry.load->in_flight.load(std::memory_order_relaxed);
    // Positive doubles order like their bits, and equal fractions round to equal doubles. The 29
    // bits of mantissa kept here tell any two fractions apart while (in_flight + 1) * weight <
    // 2^28.
    const auto numerator = static_cast<double>(WeightedLoad{in_flight, entry.weight}.numerator());
    const double load = numerator / static_cast<double>(entry.weight);
    constexpr unsigned kDroppedBits = 63 - (64 - kWeightBits);
    const Node weight = std::max(1U, entry.weight >> weight_shift_);
    return ((std::bit_cast<std::uint64_t>(load) >> kDroppedBits) << kWeightBits) + weight;
}

void LoadTree::settle(std::size_t at, Node value) const {
    // A node that keeps its value hides the change from everything above it.
    while (node(at) != value) {
        nodes_[at].store(value, std::memory_order_relaxed);
        if (at == 1) {
            return;
        }
        at /= 2;
        value = merged(node(2 * at), node((2 * at) + 1));
    }
}

void LoadTree::update(std::uint32_t index) const {
    const std::size_t at = leaves_ + index;
    settle(at, leaf_value(at));
}

void LoadTree::verify(std::uint64_t turn) const {
    const std::size_t at = 1 + (turn & (2 * leaves_ - 1));
    if (at >= 2 * leaves_) {
        return;
    }
    settle(at, at >= leaves_ ? leaf_value(at) : merged(node(2 * at), node((2 * at) + 1)));
}

/// Whose turn it is among those who share the load of `root`.
std::uint64_t LoadTree::rank(std::uint64_t turn, Node root) const {
    const auto weight = std::max<std::uint64_t>(1, weight_of(root));
    return members_.equal_weights() ? turn % weight : spread_turn(turn, weight);
}

std::uint32_t LoadTree::least(std::uint64_t turn) const {
    std::size_t at = 1;
    std::uint64_t rank = this->rank(turn, node(1));
    while (at < leaves_) {
        const Node left = node(2 * at);
        const Node right = node((2 * at) + 1);
        bool go_right = load_of(right) < load_of(left);
        if (load_of(right) == load_of(left) && rank >= weight_of(left)) {
            rank -= weight_of(left);
            go_right = true;
        }
        at = (2 * at) + (go_right ? 1 : 0);
    }
    return static_cast<std::uint32_t>(at - leaves_);
}

LoadTree::Node LoadTree::without(std::size_t at, std::size_t first, std::size_t width,
                                 std::span<const std::uint32_t> gaps) const {
    if (gaps.empty()) {
        return node(at);
    }
    if (width == 1) {
        return kNobody;
    }
    const std::size_t middle = first + (width / 2);
    const auto split = static_cast<std::size_t>(
        std::distance(gaps.begin(), std::ranges::lower_bound(gaps, middle)));
    return merged(without(2 * at, first, width / 2, gaps.first(split)),
                  without((2 * at) + 1, middle, width / 2, gaps.subspan(split)));
}

std::uint32_t LoadTree::least(std::uint64_t turn, std::span<const std::uint32_t> gaps) const {
    std::size_t at = 1;
    std::size_t first = 0;
    std::size_t width = leaves_;
    std::uint64_t rank = this->rank(turn, without(at, first, width, gaps));
    while (width > 1) {
        const std::size_t middle = first + (width / 2);
        width /= 2;
        const auto split = static_cast<std::size_t>(
            std::distance(gaps.begin(), std::ranges::lower_bound(gaps, middle)));
        const Node left = without(2 * at, first, width, gaps.first(split));
        const Node right = without((2 * at) + 1, middle, width, gaps.subspan(split));
        bool go_right = load_of(right) < load_of(left);
        if (load_of(right) == load_of(left) && rank >= weight_of(left)) {
            rank -= weight_of(left);
            go_right = true;
        }
        at = (2 * at) + (go_right ? 1 : 0);
        first = go_right ? middle : first;
        gaps = go_right ? gaps.subspan(split) : gaps.first(split);
    }
    return static_cast<std::uint32_t>(first);
}

}  // namespace rproxy::balancing
