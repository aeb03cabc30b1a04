#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

namespace rproxy {

/// A part of a whole, 0 to 1, written `20%` (or `12.5%`).
struct Share {
    double fraction{0};

    /// Accepts `0%` to `100%`.
    static std::optional<Share> parse(std::string_view text);
    std::string to_string() const;
    friend auto operator<=>(const Share&, const Share&) = default;
};

constexpr Share percent(double value) {
    return Share{value / 100.0};
}

}  // namespace rproxy
