#pragma once

#include <cstdint>

/// Published results, run again with the real policies; each prints a table with both figures.
namespace rproxy::simulation {

void reproduce_linkerd(std::uint64_t seed);
void reproduce_supermarket(std::uint64_t seed);
void reproduce_balls_into_bins(std::uint64_t seed);
void reproduce_maglev();
/// Maglev against rendezvous hashing: what decided for the table.
void compare_hashing();

}  // namespace rproxy::simulation
