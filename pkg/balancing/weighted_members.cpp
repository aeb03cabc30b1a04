#include "balancing/weighted_members.h"

#include "balancing/weighted_load.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <numeric>

namespace rproxy::balancing {

namespace {

/// What is left to 1 is rounding.
constexpr double kAsGoodAsSure = 1 - 1e-12;

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

std::vector<double> WeightedMembers::draw_chances(const Gaps& gaps) const {
    std::vector<double> chances(entries_.size(), 0);
    if (gaps.remaining_weight() == 0) {
        return chances;
    }
    for (std::size_t i = 0; i < entries_.size(); ++i) {
        chances[i] =
            static_cast<double>(entries_[i].weight) / static_cast<double>(gaps.remaining_weight());
    }
    for (const std::uint32_t gap : gaps.indices()) {
        chances[gap] = 0;
    }
    return chances;
}

std::vector<double> chances_of_two(const WeightedMembers& members,
                                   const WeightedMembers::Gaps& gaps,
                                   std::span<const double> costs) {
    const std::vector<double> first = members.draw_chances(gaps);
    std::vector<std::uint32_t> order;  // the costliest first, without the gaps
    for (std::uint32_t i = 0; i < first.size(); ++i) {
        if (first[i] > 0) {
            order.push_back(i);
        }
    }
    std::vector<double> chances(first.size(), 0);
    if (order.size() == 1) {
        chances[order.front()] = 1;  // there is no second one to compare with
        return chances;
    }
    std::ranges::sort(order, std::greater{}, [costs](std::uint32_t i) { return costs[i]; });
    // A member wins as the second one against all that cost more, and as the first one against
    // those that cost the same, too. Sums over the ones that cost more: of their chances to be
    // first, and of that chance over what is left to be drawn after them.
    double costlier = 0;
    double costlier_first = 0;
    for (auto from = order.begin(); from != order.end();) {
        const auto to = std::find_if(from, order.end(),
                                     [&](std::uint32_t i) { return costs[i] != costs[*from]; });
        double equals = 0;
        double equals_first = 0;
        for (auto at = from; at != to; ++at) {
            equals += first[*at];
            equals_first += first[*at] / (1 - first[*at]);
        }
        for (auto at = from; at != to; ++at) {
            const double own = first[*at];
            const double as_first = own * (costlier + equals - own) / (1 - own);
            const double chance = as_first + (costlier_first * own);
            chances[*at] = chance > kAsGoodAsSure ? 1 : chance;
        }
        costlier += equals;
        costlier_first += equals_first;
        from = to;
    }
    return chances;
}

std::vector<Standing> MemberPolicy::standings() const {
    std::vector<Standing> standings;
    standings.reserve(members_.size());
    for (const auto& entry : members_.entries()) {
        standings.push_back({.slot = entry.slot, .score = {}, .chance = 0, .note = {}});
    }
    return standings;
}

std::vector<Standing> MemberPolicy::standings_by_load() const {
    auto standings = this->standings();
    for (std::size_t i = 0; i < standings.size(); ++i) {
        const auto& entry = members_[i];
        const WeightedLoad load{entry.load->in_flight.load(std::memory_order_relaxed),
                                entry.weight};
        standings[i].score =
            static_cast<double>(load.numerator()) / static_cast<double>(load.weight);
    }
    return standings;
}

void MemberPolicy::settle(Explanation& explanation, std::optional<std::uint32_t> slot) {
    for (Standing& standing : explanation.ranked) {
        standing.chance = slot && standing.slot == *slot ? 1 : 0;
    }
}

void MemberPolicy::set_chances(Explanation& explanation, std::span<const double> chances) {
    for (std::size_t i = 0; i < chances.size(); ++i) {
        explanation.ranked[i].chance = chances[i];
    }
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
