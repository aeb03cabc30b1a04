#include "balancing/weighted_members.h"

#include <algorithm>
#include <iterator>
#include <numeric>

namespace rproxy::balancing {

namespace {

/// Below `bound`, which must be under 2^53.
std::uint64_t unit_below(Rng& rng, std::uint64_t bound) {
    return static_cast<std::uint64_t>(rng.unit() * static_cast<double>(bound));
}

}  // namespace

WeightedMembers::WeightedMembers(std::span<const Member> members)
    : index_of_slot_(members.size(), kAbsent) {
    std::uint32_t divisor = 0;
    for (std::uint32_t slot = 0; slot < members.size(); ++slot) {
        const Member& member = members[slot];
        if (!member.eligible || member.weight == 0) {
            continue;
        }
        index_of_slot_[slot] = static_cast<std::uint32_t>(entries_.size());
        entries_.push_back({.load = member.load, .weight = member.weight, .slot = slot});
        divisor = std::gcd(divisor, member.weight);
    }
    ends_.reserve(entries_.size());
    for (Entry& entry : entries_) {
        entry.weight /= std::max(divisor, 1U);
        equal_weights_ = equal_weights_ && entry.weight == 1;
        total_weight_ += entry.weight;
        ends_.push_back(total_weight_);
    }
}

std::uint32_t WeightedMembers::owner(std::uint64_t unit) const {
    if (equal_weights_) {
        return static_cast<std::uint32_t>(unit);
    }
    const auto end = std::ranges::upper_bound(ends_, unit);
    return static_cast<std::uint32_t>(std::distance(ends_.begin(), end));
}

std::uint32_t WeightedMembers::owner(std::uint64_t unit, const Gaps& gaps) const {
    for (const std::uint32_t gap : gaps.indices()) {
        if (unit < begin_of(gap)) {
            break;
        }
        unit += entries_[gap].weight;
    }
    return owner(unit);
}

std::optional<std::uint32_t> WeightedMembers::draw(Rng& rng, const Gaps& gaps) const {
    if (gaps.remaining_weight() == 0) {
        return std::nullopt;
    }
    return owner(unit_below(rng, gaps.remaining_weight()), gaps);
}

std::uint32_t WeightedMembers::draw(Rng& rng) const {
    return owner(unit_below(rng, total_weight_));
}

// The array is left unset on purpose: clearing 132 bytes for each request buys nothing.
// NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init)
WeightedMembers::Gaps::Gaps(const WeightedMembers& members, const Excluded& excluded)
    : members_(members), remaining_weight_(members.total_weight()) {
    for (const std::uint32_t slot : excluded.slots()) {
        if (const auto index = members.index_of(slot)) {
            add(*index);
        }
    }
}

void WeightedMembers::Gaps::add(std::uint32_t index) {
    std::size_t at = size_;
    while (at > 0 && indices_[at - 1] >= index) {
        --at;
    }
    if (at < size_ && indices_[at] == index) {
        return;
    }
    std::copy_backward(indices_.begin() + static_cast<std::ptrdiff_t>(at),
                       indices_.begin() + static_cast<std::ptrdiff_t>(size_),
                       indices_.begin() + static_cast<std::ptrdiff_t>(size_ + 1));
    indices_[at] = index;
    ++size_;
    remaining_weight_ -= members_[index].weight;
}

}  // namespace rproxy::balancing
