#pragma once

#include <span>
#include <string>
#include <string_view>

namespace rproxy::config {

/// What the author of an unknown key most likely meant: the nearest of `known`, the word that other
/// proxies use for one of them, or the section where the key belongs; else the words allowed.
std::string hint_for_unknown_key(std::string_view key, std::span<const std::string> known);

/// The same for the value of an enumeration.
std::string hint_for_unknown_word(std::string_view word, std::span<const std::string> known);

/// `a, b or c`.
std::string any_of(std::span<const std::string> words);

}  // namespace rproxy::config
