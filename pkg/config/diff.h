#pragma once

#include "config/snapshot.h"

#include <string>
#include <vector>

namespace rproxy::config {

/// What applying `after` over `before` changes, in words, one sentence each: listeners, pools with
/// their backends, routes, then the rest; empty if nothing. The order depends on the two alone.
/// Backends are told apart by pool and address, as their state is; listeners and pools by name;
/// routes by host and path. Both must be valid.
std::vector<std::string> plan(const Snapshot& before, const Snapshot& after);

}  // namespace rproxy::config
