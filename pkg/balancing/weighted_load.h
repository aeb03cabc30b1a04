#pragma once

#include <cstdint>

namespace rproxy::balancing {

/// How loaded a member is, as methods compare it: nothing while it is idle, else
/// (in_flight + 1) / weight. Idle members are equal, as in HAProxy and nginx: else a pool with
/// little to do would use its heaviest member only, and the others would be cold when they are
/// needed. Which of the equals it is goes by weight.
struct WeightedLoad {
    std::uint32_t in_flight;
    std::uint32_t weight;  ///< Above 0.

    std::uint64_t numerator() const { return in_flight == 0 ? 0 : std::uint64_t{in_flight} + 1; }
    /// Multiplied out: exact, and no division.
    friend bool operator<(const WeightedLoad& a, const WeightedLoad& b) {
        return a.numerator() * b.weight < b.numerator() * a.weight;
    }
};

/// A number below `total` (above 0, at most 2^32) for each turn: over any stretch of turns spread
/// evenly, without runs (a Weyl sequence by the golden ratio).
inline std::uint64_t spread_turn(std::uint64_t turn, std::uint64_t total) {
    constexpr std::uint64_t kGoldenRatio = 0x9E3779B97F4A7C15;
    return (((turn * kGoldenRatio) >> 32U) * total) >> 32U;
}

}  // namespace rproxy::balancing
