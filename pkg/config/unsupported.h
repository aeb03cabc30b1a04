#pragma once

#include "config/issue.h"
#include "config/snapshot.h"

#include <vector>

namespace rproxy::config {

/// What a valid file asks for and this build cannot do yet. Refusing it is the only honest answer:
/// a listener that should speak TLS must not come up in plain text.
std::vector<Issue> unsupported(const Snapshot& snapshot);

}  // namespace rproxy::config
