#include "balancing/method.h"

#include <array>
#include <utility>

namespace rproxy::balancing {

namespace {
constexpr std::array<std::pair<std::string_view, Method>, 7> kNames{
    {{"round_robin", Method::RoundRobin},
     {"least_connections", Method::LeastConnections},
     {"random", Method::Random},
     {"ip_hash", Method::IpHash},
     {"power_of_two", Method::PowerOfTwo},
     {"peak_ewma", Method::PeakEwma},
     {"consistent_hash", Method::ConsistentHash}}};
}

std::string_view to_string(Method method) {
    return kNames[static_cast<std::size_t>(method)].first;
}

std::optional<Method> parse_method(std::string_view text) {
    for (const auto& [name, method] : kNames) {
        if (name == text) {
            return method;
        }
    }
    return std::nullopt;
}

}  // namespace rproxy::balancing
