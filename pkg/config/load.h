#pragma once

#include "config/issue.h"
#include "config/snapshot.h"

#include <expected>
#include <string_view>
#include <vector>

namespace rproxy::config {

/// The most issues that load() returns; a last one says how many there are more.
constexpr std::size_t kMostIssues = 1000;

/// What the text of a configuration file means, every default filled in, or everything that is
/// wrong with it, in the order of the file. Pure: reads no other file and resolves no name. A valid
/// Snapshot has at least one listener, pool and route; listeners, pools and backends in a pool have
/// unique names and addresses; every pool that a route or `when_all_down` names is there, and
/// following `when_all_down` never comes back. Never throws for any text.
std::expected<Snapshot, std::vector<Issue>> load(std::string_view text);

/// What of an invalid file still tells where to listen, so that whoever connects is told what is
/// wrong: `listeners` and `admin`, each if it is valid by itself; all else has its defaults.
Snapshot salvage(std::string_view text);

}  // namespace rproxy::config
