#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rproxy {

/// ASCII only, as HTTP and YAML keys are.
constexpr char ascii_lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}
std::string to_lower(std::string_view text);
bool equals_ignoring_case(std::string_view a, std::string_view b);

/// Without leading and trailing spaces and tabs (OWS of RFC 9110 §5.6.3).
std::string_view trim(std::string_view text);

/// The pieces between any of `separators`, empty ones left out.
std::vector<std::string_view> split_any(std::string_view text, std::string_view separators);

/// The word of `known` that a person most likely meant by `word` (optimal string alignment distance
/// of at most a third of the length, at least 1), or nothing.
std::optional<std::string> nearest_word(std::string_view word, std::span<const std::string> known);

}  // namespace rproxy
