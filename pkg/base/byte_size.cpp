#include "base/byte_size.h"

#include <array>
#include <charconv>
#include <utility>

namespace rproxy {

namespace {

struct Unit {
    std::string_view name;
    std::uint64_t bytes;
};
constexpr std::array<Unit, 8> kUnits{{{"GiB", 1ULL << 30U},
                                      {"MiB", 1ULL << 20U},
                                      {"KiB", 1ULL << 10U},
                                      {"GB", 1'000'000'000},
                                      {"MB", 1'000'000},
                                      {"KB", 1'000},
                                      {"kB", 1'000},
                                      {"B", 1}}};

}  // namespace

std::optional<ByteSize> ByteSize::parse(std::string_view text) {
    std::uint64_t number = 0;
    const char* const last = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), last, number);
    if (error != std::errc{}) {
        return std::nullopt;
    }
    const std::string_view unit(end, static_cast<std::size_t>(last - end));
    if (unit.empty()) {
        return ByteSize{number};
    }
    for (const auto& known : kUnits) {
        if (unit == known.name) {
            if (number > (1ULL << 62U) / known.bytes) {
                return std::nullopt;
            }
            return ByteSize{number * known.bytes};
        }
    }
    return std::nullopt;
}

std::string ByteSize::to_string() const {
    for (const auto& unit : kUnits) {
        const bool binary = unit.name.size() == 3;
        if (binary && bytes != 0 && bytes % unit.bytes == 0) {
            return std::to_string(bytes / unit.bytes) + std::string(unit.name);
        }
    }
    return std::to_string(bytes);
}

}  // namespace rproxy
