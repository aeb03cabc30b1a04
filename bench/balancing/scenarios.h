#pragma once

#include <cstddef>
#include <cstdint>

namespace rproxy::simulation {

/// Runs every method through every scenario with `backends` backends and prints one table each.
void run_scenarios(std::size_t backends, std::uint64_t seed);

}  // namespace rproxy::simulation
