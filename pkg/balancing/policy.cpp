#include "balancing/policy.h"

#include "balancing/methods.h"

#include <utility>

namespace rproxy::balancing {

std::unique_ptr<const Policy> make_policy(Method method, std::span<const Member> members,
                                          Cursor& cursor) {
    switch (method) {
        case Method::RoundRobin:
            return make_round_robin(members, cursor);
        case Method::LeastConnections:
            return make_least_connections(members, cursor);
        case Method::Random:
            return make_random(members);
        case Method::IpHash:
            return make_ip_hash(members);
        case Method::PowerOfTwo:
            return make_power_of_two(members);
        case Method::PeakEwma:
            return make_peak_ewma(members, cursor);
        case Method::ConsistentHash:
            return make_consistent_hash(members);
    }
    std::unreachable();
}

}  // namespace rproxy::balancing
