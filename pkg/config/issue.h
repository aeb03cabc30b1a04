#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace rproxy::config {

/// Where in the text, both from 1; 0: unknown. Columns count bytes.
struct Position {
    std::uint32_t line{0};
    std::uint32_t column{0};
    friend bool operator==(const Position&, const Position&) = default;
};

/// One thing that is wrong with a configuration, for a person to put right.
struct Issue {
    std::uint32_t line{0};    ///< From 1; 0: unknown.
    std::uint32_t column{0};  ///< From 1; 0: unknown.
    std::string path;         ///< `pools.web.backends[2].address`; empty: the file as a whole.
    std::string message;      ///< What is wrong, with what was found.
    std::string hint;         ///< What would be right; may be empty.
    friend bool operator==(const Issue&, const Issue&) = default;
};

/// `FILE:LINE:COL: KEY.PATH: what is wrong, what would be right`, without a newline. Unknown parts
/// are left out.
std::string format(const Issue& issue, std::string_view file);

}  // namespace rproxy::config
