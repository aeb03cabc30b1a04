#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace rproxy::balancing {

/// One round of nginx's smooth weighted round robin over members with these weights (all above 0,
/// at least one): indices, each as often as its weight says and as evenly spread as can be; 5:1:1
/// gives a a b a c a a. If the weights sum to more than `limit` they are scaled down first, none
/// below 1, so the round is never much longer than the larger of `limit` and the number of members.
std::vector<std::uint32_t> smooth_schedule(std::span<const std::uint32_t> weights,
                                           std::size_t limit = 65536);

}  // namespace rproxy::balancing
