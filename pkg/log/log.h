#pragma once

#include "base/clock.h"

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

/// The process's log, on stderr: a fixed message, then key=value.
///
///     log::warn("backend ejected", "backend", id, "failures", n);
///
/// This is the one piece of global state of the project. A logger handed through every constructor
/// would be a parameter of every class and would still have to be process-wide, because stderr is;
/// what it holds is only the level, the format and the lock of the stream. Pure libraries do not
/// log, so no result of theirs depends on it.
///
/// Any thread. A call below the level costs one relaxed load. Nobody waits for a stalled reader of
/// stderr: the first line waits up to 50 ms, later ones are dropped until it reads again, and the
/// next line that gets through is preceded by one that tells how many were lost.
namespace rproxy::log {

enum class Level : std::uint8_t { Debug, Info, Warn, Error };
enum class Format : std::uint8_t { Json, Text };

std::optional<Level> parse_level(std::string_view name);    ///< `debug info warn error`
std::optional<Format> parse_format(std::string_view name);  ///< `json text`

/// Sets both, and ends an override; until then `info` and `json`. May be called at any time, and
/// again.
void configure(Level level, Format format);
/// Another level for the time being; nothing: the configured one again.
void override_level(std::optional<Level> level);
Level level();
Level configured_level();
std::string_view to_string(Level level);  ///< As parse_level() reads it.

using Value = std::variant<std::string_view, std::int64_t, std::uint64_t, double, bool>;
struct Field {
    std::string_view key;
    Value value;
};

/// One line without its newline: `{"time":…,"level":"warn","msg":…,KEY:VALUE…}` or
/// `TIME WARN message key=value…`. A number that JSON cannot carry (NaN, infinity) becomes null.
std::string format_line(Format format, Level level, WallTime time, std::string_view message,
                        std::span<const Field> fields);

bool enabled(Level level);
void write(Level level, std::string_view message, std::span<const Field> fields);

template <typename T>
Value to_value(const T& value) {
    if constexpr (std::same_as<T, bool>) {
        return value;
    } else if constexpr (std::signed_integral<T>) {
        return static_cast<std::int64_t>(value);
    } else if constexpr (std::unsigned_integral<T>) {
        return static_cast<std::uint64_t>(value);
    } else if constexpr (std::floating_point<T>) {
        return static_cast<double>(value);
    } else {
        return std::string_view(value);
    }
}

/// `rest` is key, value, key, value …; keys are literals in snake case.
template <typename... Rest>
void write_pairs(Level level, std::string_view message, const Rest&... rest) {
    static_assert(sizeof...(Rest) % 2 == 0, "a key without its value");
    if (!enabled(level)) {
        return;
    }
    const std::array<Value, sizeof...(Rest)> values{to_value(rest)...};
    std::array<Field, sizeof...(Rest) / 2> fields{};
    for (std::size_t i = 0; i < fields.size(); ++i) {
        fields[i] = {std::get<std::string_view>(values[2 * i]), values[(2 * i) + 1]};
    }
    write(level, message, fields);
}

/// Of use to who debugs one request.
template <typename... Rest>
void debug(std::string_view message, const Rest&... rest) {
    write_pairs(Level::Debug, message, rest...);
}
/// Once for each event in the life of the process, a backend, a configuration.
template <typename... Rest>
void info(std::string_view message, const Rest&... rest) {
    write_pairs(Level::Info, message, rest...);
}
/// Degraded, but working.
template <typename... Rest>
void warn(std::string_view message, const Rest&... rest) {
    write_pairs(Level::Warn, message, rest...);
}
/// Somebody must act.
template <typename... Rest>
void error(std::string_view message, const Rest&... rest) {
    write_pairs(Level::Error, message, rest...);
}

}  // namespace rproxy::log
