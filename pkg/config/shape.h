#pragma once

#include "config/node.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rproxy::config {

// The empty initialisers let code name only the members it sets: GCC warns of the others
// otherwise (-Wmissing-field-initializers).
// NOLINTBEGIN(readability-redundant-member-init)

/// What a key is, for people: a row of the reference.
struct KeyDoc {
    std::string name{};
    std::string meaning{};  ///< One or a few sentences, Markdown.
    std::string example{};  ///< YAML in flow style; empty: the default serves.
    bool required{false};
    std::string instead_of{};  ///< Another key of the section that cannot stand beside it.
    Node default_value{};      ///< Null: absent means off, or the key is required.
};

/// What a value may be, without its C++ type: what the JSON Schema, the reference and the renderer
/// know of it.
struct Shape {
    enum class Kind : std::uint8_t {
        Boolean,
        Integer,  ///< `least` to `most`.
        Number,   ///< `least` to `most`, with a fraction.
        Text,     ///< Matches `pattern`.
        Unit,     ///< A duration, size or share: matches `pattern`, or is a number as `bare` says.
        Words,    ///< One of `words`.
        Section,  ///< A map with fixed keys, each a part with its `key`.
        List,     ///< Of parts[0].
        Named,    ///< A map whose keys match `pattern` and whose values are parts[0].
        Either,   ///< One of `parts`.
    };
    enum class Bare : std::uint8_t { No, Zero, Any };
    Kind kind{Kind::Text};
    std::string name{};     ///< For people: `a duration such as 500ms`.
    std::string range{};    ///< For people: `1 to 100`; empty: none.
    std::string pattern{};  ///< ECMA-262, as JSON Schema wants it; empty: any text.
    Bare bare{Bare::No};
    double least{0};
    double most{0};
    bool not_empty{false};  ///< Of a List or Named.
    std::vector<std::string> words{};
    std::vector<Shape> parts{};
    KeyDoc key{};  ///< If it is the value of a section's key.

    /// The part of a Section that belongs to a key; null: there is none.
    const Shape* find(std::string_view key_name) const;
};

// NOLINTEND(readability-redundant-member-init)

}  // namespace rproxy::config
