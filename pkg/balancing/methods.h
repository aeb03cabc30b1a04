#pragma once

#include "balancing/policy.h"

#include <memory>
#include <span>

/// One builder for each method; make_policy() chooses among them.
namespace rproxy::balancing {

std::unique_ptr<const Policy> make_round_robin(std::span<const Member> members, Cursor& cursor);
std::unique_ptr<const Policy> make_least_connections(std::span<const Member> members,
                                                     Cursor& cursor);
std::unique_ptr<const Policy> make_random(std::span<const Member> members);
std::unique_ptr<const Policy> make_power_of_two(std::span<const Member> members);
std::unique_ptr<const Policy> make_peak_ewma(std::span<const Member> members, Cursor& cursor);
std::unique_ptr<const Policy> make_ip_hash(std::span<const Member> members);
std::unique_ptr<const Policy> make_consistent_hash(std::span<const Member> members);

}  // namespace rproxy::balancing
