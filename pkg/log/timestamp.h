#pragma once

#include "base/clock.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace rproxy::log {

/// Writes times as RFC 3339 UTC with milliseconds (`2026-11-23T15:26:00.123Z`), remembering the
/// text of the last second: a line of the access log then costs three digits. Years 0 to 9999. One
/// thread.
class Timestamp {
public:
    static constexpr std::size_t kSize = 24;
    /// Writes kSize bytes and returns the end.
    char* write(char* out, WallTime time);

private:
    void render(std::int64_t second);

    std::int64_t second_{INT64_MIN};
    std::array<char, kSize> text_{};
};

}  // namespace rproxy::log
