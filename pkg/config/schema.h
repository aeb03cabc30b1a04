#pragma once

#include <string>

namespace rproxy::config {

/// The JSON Schema (2020-12) of the configuration file, for editors and CI, from the table that the
/// parser uses. It accepts every file that load() accepts; load() refuses more: what concerns
/// several values (names that nothing has, duplicates) and ranges of durations and sizes.
std::string json_schema();

}  // namespace rproxy::config
