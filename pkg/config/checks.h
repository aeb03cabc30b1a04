#pragma once

#include "config/node.h"
#include "config/reader.h"
#include "config/snapshot.h"

namespace rproxy::config {

/// Reports what is wrong between parts that are each right: names that nothing has, names and
/// addresses that two have. `root` is the tree that `snapshot` was read from; lists in both are
/// side by side, parts that could not be read hold defaults and are passed over.
void check_relations(Reader& reader, const Node& root, const Snapshot& snapshot);

}  // namespace rproxy::config
