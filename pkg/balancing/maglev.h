#pragma once

#include "balancing/policy.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace rproxy::balancing {

/// The order in which one member claims the entries of a Maglev table of prime size M: offset,
/// offset + skip, offset + 2 * skip … modulo M. `offset` < M, 0 < `skip` < M, `weight` > 0.
struct Preference {
    std::uint64_t offset;
    std::uint64_t skip;
    std::uint32_t weight;
};

/// Fills a table of `size` (prime) entries with the position in `preferences` (at least one) of
/// their owners: Eisenbud et al., "Maglev", NSDI 2016, section 3.4; a weight is how often a member
/// has its turn, as in Envoy.
std::vector<std::uint32_t> fill_maglev_table(std::span<const Preference> preferences,
                                             std::size_t size);

/// Where each hash belongs among all members of a pool with weight above 0, eligible or not: a
/// member that is away for a while keeps its entries and gets its clients back. The table depends
/// on ids and weights alone, not on the order of the members. Immutable; any thread.
class MaglevTable {
public:
    explicit MaglevTable(std::span<const Member> members);

    bool empty() const { return slots_.empty(); }
    /// The slot of a hash's choice number `attempt`; 0 is its home. Later ones are independent of
    /// each other and of the hash's neighbours, so that the clients of a member that is away spread
    /// over all the others by weight.
    std::uint32_t choice(std::uint64_t hash, unsigned attempt) const;
    /// The slot that owns each entry.
    std::span<const std::uint32_t> slots() const { return slots_; }

private:
    std::vector<std::uint32_t> slots_;
};

/// Scores each of the first `attempts` choices of `hash` by its place. Those that are not among
/// `standings`, as they are not offered, join them; the order is by slot.
void rank_choices(const MaglevTable& table, std::uint64_t hash, unsigned attempts,
                  std::vector<Standing>& standings);

}  // namespace rproxy::balancing
