#pragma once

#include <string>

namespace rproxy::config {

/// The reference of every key, from the table that the parser uses: the content of
/// docs/configuration.md. Every YAML block in it is a valid file.
std::string reference_markdown();

}  // namespace rproxy::config
