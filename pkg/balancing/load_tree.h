#pragma once

#include "balancing/weighted_members.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace rproxy::balancing {

/// The least loaded of many members: a complete binary tree, each node holding the lowest
/// WeightedLoad below it and the weight of the members that share it. Reading and updating take one
/// step for each level.
///
/// Any thread, all members relaxed. Two updates that cross can leave a node behind its children,
/// and a change that happened while the tree was built can be missed; both cost a slightly worse
/// choice, never a wrong access, and mend when anything below the node changes or when verify()
/// comes round to it.
class LoadTree {
public:
    explicit LoadTree(const WeightedMembers& members);

    /// Takes over the present load of one member.
    void update(std::uint32_t index) const;
    /// Recomputes one node, another one at each turn, so that all are seen to in turn.
    void verify(std::uint64_t turn) const;
    /// A least loaded member; `turn` goes round among equals, by weight.
    std::uint32_t least(std::uint64_t turn) const;
    /// The same without the members in `gaps` (indices, ascending), of which there are fewer than
    /// members.
    std::uint32_t least(std::uint64_t turn, std::span<const std::uint32_t> gaps) const;

private:
    /// The load in the upper 40 bits, the weight of those who share it in the lower 24: one word,
    /// so that a node is read and written whole.
    using Node = std::uint64_t;
    static constexpr unsigned kWeightBits = 24;
    static constexpr Node kWeightMask = (Node{1} << kWeightBits) - 1;
    static constexpr Node kNobody = ~kWeightMask;

    static Node load_of(Node node) { return node >> kWeightBits; }
    static std::uint64_t weight_of(Node node) { return node & kWeightMask; }
    static Node merged(Node left, Node right);

    Node node(std::size_t at) const { return nodes_[at].load(std::memory_order_relaxed); }
    Node leaf_value(std::size_t at) const;
    void settle(std::size_t at, Node value) const;
    std::uint64_t rank(std::uint64_t turn, Node root) const;
    Node without(std::size_t at, std::size_t first, std::size_t width,
                 std::span<const std::uint32_t> gaps) const;

    const WeightedMembers& members_;
    unsigned weight_shift_;  ///< So that all weights together fit into a node.
    std::size_t leaves_;     ///< A power of two; member i is node leaves_ + i, the root is node 1.
    mutable std::vector<std::atomic<Node>> nodes_;
};

}  // namespace rproxy::balancing
