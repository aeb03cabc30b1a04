#pragma once

#include "config/section.h"
#include "config/shape.h"
#include "config/snapshot.h"

#include <string_view>

/// The one table of every key: parser, renderer, JSON Schema and reference come from it.
namespace rproxy::config {

const Section<Listener>& listener_section();
const Section<Backend>& backend_section();
const Section<Pool>& pool_section();
const Section<Snapshot>& snapshot_section();
/// The shape of snapshot_section().
const Shape& snapshot_shape();

/// The name of the pool that the short form makes.
constexpr std::string_view kShortPool = "default";
/// Whether `key` of a pool may stand at the top of the file (the short form). Not `timeouts`, which
/// there are the clients', and not `tls`, which there could mean either side.
bool allowed_in_short_form(std::string_view key);

}  // namespace rproxy::config
