#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace rproxy {

/// A number of bytes, written `16KiB`, `1MiB`, `512B` or a plain number.
struct ByteSize {
    std::uint64_t bytes{0};

    static std::optional<ByteSize> parse(std::string_view text);
    /// The shortest exact form: `16KiB`, else plain bytes (`0`, `1000`).
    std::string to_string() const;
    friend auto operator<=>(const ByteSize&, const ByteSize&) = default;
};

constexpr ByteSize kib(std::uint64_t n) {
    return ByteSize{n << 10U};
}
constexpr ByteSize mib(std::uint64_t n) {
    return ByteSize{n << 20U};
}

}  // namespace rproxy
