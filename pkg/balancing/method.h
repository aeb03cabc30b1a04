#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace rproxy::balancing {

/// How a pool chooses among its eligible backends; docs/balancing.md tells them apart.
enum class Method : std::uint8_t {
    RoundRobin,
    LeastConnections,
    Random,
    IpHash,
    PowerOfTwo,
    PeakEwma,
    ConsistentHash,
};

/// The name in the configuration, e.g. `round_robin`.
std::string_view to_string(Method method);
std::optional<Method> parse_method(std::string_view text);

}  // namespace rproxy::balancing
