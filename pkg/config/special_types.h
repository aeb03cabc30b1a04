#pragma once

#include "config/snapshot.h"
#include "config/types.h"

#include <cstdint>
#include <vector>

/// The values that have several forms in the file, because people write them in several ways.
namespace rproxy::config {

/// One string with any separators, or a list of such strings and of maps.
Type<std::vector<Backend>> backends();
/// `client_ip`, `header:NAME`, `cookie:NAME` or `path`.
Type<HashOn> hash_on();
/// `try_anyway`, `fail` or `{pool: NAME}`.
Type<WhenAllDown> when_all_down();
/// `200`, `200-399`, `200,204` or a list of these.
Type<std::vector<StatusRange>> expect_status();
/// A list of causes, as bits of RetryOn.
Type<std::uint8_t> retry_causes();
/// Lower case, no port; empty: absent.
Type<std::string> route_host();

}  // namespace rproxy::config
