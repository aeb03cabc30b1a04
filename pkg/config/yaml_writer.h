#pragma once

#include "config/node.h"

#include <string>
#include <string_view>

namespace rproxy::config {

/// A scalar as YAML: in quotes only where it would be taken for something else without.
std::string yaml_scalar(const Node& node);
/// On one line: `{limit: 2, on: [reset]}`.
std::string yaml_flow(const Node& node);
/// As people write it: nested by two spaces, small innermost maps and lists of values on one line.
/// Ends with a newline unless empty. `root` is a map.
std::string yaml_block(const Node& root);

}  // namespace rproxy::config
