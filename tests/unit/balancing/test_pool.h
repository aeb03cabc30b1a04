#pragma once

#include "balancing/policy.h"
#include "base/hash.h"
#include "base/rng.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace rproxy::balancing {

/// Members with loads of their own and everything else that a pick needs.
class TestPool {
public:
    explicit TestPool(std::size_t size) : TestPool(std::vector<std::uint32_t>(size, 1)) {}
    explicit TestPool(const std::vector<std::uint32_t>& weights) {
        for (const std::uint32_t weight : weights) {
            add("10.0.0." + std::to_string(members.size()) + ":8080", weight);
        }
    }

    void add(const std::string& address, std::uint32_t weight = 1) {
        members.push_back(
            {.id_hash = stable_hash(address), .weight = weight, .load = &loads.emplace_back()});
    }
    std::unique_ptr<const Policy> build(Method method) {
        return make_policy(method, members, cursor);
    }
    std::optional<std::uint32_t> pick(const Policy& policy, std::uint64_t hash = 0) {
        return policy.pick({.hash = hash, .now = now, .rng = rng, .excluded = excluded});
    }
    /// Sets the requests in flight of `slot` and tells the policy.
    void set_in_flight(const Policy& policy, std::uint32_t slot, std::uint32_t in_flight) {
        loads[slot].in_flight.store(in_flight, std::memory_order_relaxed);
        policy.load_changed(slot);
    }
    /// `count` picks as letters, slot 0 being `a`; `-` is nothing.
    std::string letters(const Policy& policy, int count) {
        std::string result;
        for (int i = 0; i < count; ++i) {
            const auto slot = pick(policy);
            result.push_back(slot ? static_cast<char>('a' + *slot) : '-');
        }
        return result;
    }
    /// How often each slot comes out of `count` picks, each with another hash.
    std::vector<int> counts(const Policy& policy, int count) {
        std::vector<int> result(members.size(), 0);
        for (int i = 0; i < count; ++i) {
            ++result.at(*pick(policy, rng.next()));
        }
        return result;
    }

    std::deque<Load> loads;
    std::vector<Member> members;
    Cursor cursor{0};
    XoshiroRng rng{20240501};
    Excluded excluded;
    MonotonicTime now{std::chrono::hours(1)};
};

inline constexpr std::initializer_list<Method> kAllMethods = {
    Method::RoundRobin, Method::LeastConnections, Method::Random,        Method::IpHash,
    Method::PowerOfTwo, Method::PeakEwma,         Method::ConsistentHash};

}  // namespace rproxy::balancing
