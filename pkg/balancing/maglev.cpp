#include "balancing/maglev.h"

#include "base/hash.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <tuple>

namespace rproxy::balancing {

namespace {

/// The paper's two sizes. At least a hundred entries for each member keep the shares within about a
/// hundredth of what they should be.
constexpr std::size_t kSmallSize = 65537;
constexpr std::size_t kLargeSize = 655373;
constexpr std::size_t kSmallMembers = 650;

constexpr std::uint64_t kOffsetSeed = 0x6f66667365740001U;
constexpr std::uint64_t kSkipSeed = 0x736b697000000002U;
constexpr std::uint32_t kFree = std::numeric_limits<std::uint32_t>::max();

}  // namespace

std::vector<std::uint32_t> fill_maglev_table(std::span<const Preference> preferences,
                                             std::size_t size) {
    struct Claim {
        std::uint64_t entry;
        std::uint64_t turns_due{0};  ///< In units of the greatest weight.
    };
    std::vector<Claim> claims;
    claims.reserve(preferences.size());
    std::uint64_t greatest = 0;
    for (const Preference& preference : preferences) {
        claims.push_back({.entry = preference.offset});
        greatest = std::max<std::uint64_t>(greatest, preference.weight);
    }
    std::vector<std::uint32_t> table(size, kFree);
    std::size_t filled = 0;
    for (std::uint64_t round = 1; filled < size; ++round) {
        for (std::uint32_t who = 0; who < preferences.size() && filled < size; ++who) {
            const Preference& preference = preferences[who];
            Claim& claim = claims[who];
            if (round * preference.weight < claim.turns_due) {
                continue;
            }
            claim.turns_due += greatest;
            while (table[claim.entry] != kFree) {
                claim.entry += preference.skip;
                claim.entry -= claim.entry >= size ? size : 0;
            }
            table[claim.entry] = who;
            ++filled;
        }
    }
    return table;
}

MaglevTable::MaglevTable(std::span<const Member> members) {
    std::vector<std::uint32_t> order;
    for (std::uint32_t slot = 0; slot < members.size(); ++slot) {
        if (members[slot].weight > 0) {
            order.push_back(slot);
        }
    }
    if (order.empty()) {
        return;
    }
    std::ranges::sort(order, {}, [&members](std::uint32_t slot) {
        return std::tuple(members[slot].id_hash, members[slot].weight, slot);
    });
    const std::size_t size = order.size() <= kSmallMembers ? kSmallSize : kLargeSize;
    std::vector<Preference> preferences;
    preferences.reserve(order.size());
    for (const std::uint32_t slot : order) {
        const std::uint64_t id = members[slot].id_hash;
        preferences.push_back({.offset = combine_hashes(id, kOffsetSeed) % size,
                               .skip = (combine_hashes(id, kSkipSeed) % (size - 1)) + 1,
                               .weight = members[slot].weight});
    }
    slots_ = fill_maglev_table(preferences, size);
    for (std::uint32_t& entry : slots_) {
        entry = order[entry];
    }
}

std::uint32_t MaglevTable::choice(std::uint64_t hash, unsigned attempt) const {
    // Mixed even for the home: the caller's hash may be weak in the bits that matter here.
    return slots_[combine_hashes(hash, attempt) % slots_.size()];
}

void rank_choices(const MaglevTable& table, std::uint64_t hash, unsigned attempts,
                  std::vector<Standing>& standings) {
    if (table.empty()) {
        return;
    }
    for (unsigned attempt = 0; attempt < attempts; ++attempt) {
        const std::uint32_t slot = table.choice(hash, attempt);
        auto at = std::ranges::find(standings, slot, &Standing::slot);
        if (at == standings.end()) {
            standings.push_back({.slot = slot, .score = {}, .chance = 0, .note = {}});
            at = std::prev(standings.end());
        }
        if (!at->score) {
            at->score = attempt;
        }
    }
    std::ranges::sort(standings, {}, &Standing::slot);
}

}  // namespace rproxy::balancing
