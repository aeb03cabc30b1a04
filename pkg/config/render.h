#pragma once

#include "config/snapshot.h"

#include <cstdint>
#include <string>

namespace rproxy::config {

enum class Detail : std::uint8_t {
    Changed,  ///< Only what differs from the defaults, as a person would write it.
    Full,     ///< Every key that has a value.
};

/// The canonical YAML of a valid Snapshot, always in the long form (`pools`, `routes`):
/// `load(render(s))` is `s` for either detail.
std::string render(const Snapshot& snapshot, Detail detail = Detail::Changed);

}  // namespace rproxy::config
