#include "base/share.h"

#include <array>
#include <charconv>

namespace rproxy {

std::optional<Share> Share::parse(std::string_view text) {
    if (text.size() < 2 || text.back() != '%' || text.front() < '0' || text.front() > '9') {
        return std::nullopt;
    }
    text.remove_suffix(1);
    if (text.back() == '.') {
        return std::nullopt;
    }
    double value = 0;
    const char* const last = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), last, value, std::chars_format::fixed);
    if (error != std::errc{} || end != last || value > 100.0) {
        return std::nullopt;
    }
    return Share{value / 100.0};
}

std::string Share::to_string() const {
    std::array<char, 32> buffer{};
    // Six significant digits hide the noise of the division by 100 (12.5% stays 12.5%).
    const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(),
                                      fraction * 100.0, std::chars_format::general, 6);
    return std::string(buffer.data(), result.ptr) + "%";
}

}  // namespace rproxy
