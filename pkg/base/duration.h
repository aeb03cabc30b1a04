#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace rproxy {

/// Every duration of the configuration: millisecond steps.
using Duration = std::chrono::milliseconds;

/// Reads `500ms`, `5s`, `1.5s`, `1m30s`, `2h`, `1d`, or `0`. Nothing else: a bare number has no
/// unit.
std::optional<Duration> parse_duration(std::string_view text);
/// The canonical form: largest units first, no zero parts (`1m30s`), `0s` for none.
std::string format_duration(Duration duration);

}  // namespace rproxy
