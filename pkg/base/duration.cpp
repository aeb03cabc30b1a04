#include "base/duration.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <iterator>

namespace rproxy {

namespace {

struct Unit {
    std::string_view name;
    std::int64_t milliseconds;
};
/// In descending order, so that a mixed form must descend too; "ms" is tried before "m".
constexpr std::array<Unit, 5> kUnits{
    {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};
constexpr double kLongestMilliseconds = 100.0 * 365 * 86'400'000;

const Unit* match_unit(std::string_view text, const Unit* from) {
    const Unit* best = nullptr;
    for (const Unit* unit = from; unit != kUnits.data() + kUnits.size(); ++unit) {
        if (text.starts_with(unit->name) &&
            (best == nullptr || unit->name.size() > best->name.size())) {
            best = unit;
        }
    }
    return best;
}

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) {
    if (text == "0") {
        return Duration{0};
    }
    double total = 0;
    const Unit* next = kUnits.data();
    if (text.empty()) {
        return std::nullopt;
    }
    while (!text.empty()) {
        if (text.front() < '0' || text.front() > '9') {
            return std::nullopt;
        }
        double number = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number,
                                                  std::chars_format::fixed);
        if (error != std::errc{} || *std::prev(end) == '.') {
            return std::nullopt;
        }
        text.remove_prefix(static_cast<std::size_t>(end - text.data()));
        const Unit* unit = match_unit(text, next);
        if (unit == nullptr) {
            return std::nullopt;
        }
        text.remove_prefix(unit->name.size());
        total += number * static_cast<double>(unit->milliseconds);
        next = unit + 1;
        if (total > kLongestMilliseconds) {
            return std::nullopt;
        }
    }
    return Duration{std::llround(total)};
}

std::string format_duration(Duration duration) {
    std::int64_t left = duration.count();
    if (left == 0) {
        return "0s";
    }
    std::string text;
    for (const auto& unit : kUnits) {
        if (left >= unit.milliseconds) {
            text += std::to_string(left / unit.milliseconds);
            text += unit.name;
            left %= unit.milliseconds;
        }
    }
    return text;
}

}  // namespace rproxy
