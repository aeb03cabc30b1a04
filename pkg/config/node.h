#pragma once

#include "config/issue.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rproxy::config {

struct Entry;

/// A YAML value, as read (with its position) or about to be written. Aliases and merge keys are
/// resolved: the tree owns all of its parts.
struct Node {
    enum class Kind : std::uint8_t { Null, Scalar, Sequence, Map };
    Kind kind{Kind::Null};
    bool plain{false};  ///< A scalar without quotes: it may be a number or a boolean.
    Position at;
    std::string text;            ///< Of a scalar.
    std::vector<Node> items;     ///< Of a sequence.
    std::vector<Entry> entries;  ///< Of a map, in order; no key twice.

    static Node null();
    /// A string; written in quotes where YAML would take it for something else.
    static Node string(std::string_view text);
    /// A number or boolean, written as it is.
    static Node literal(std::string_view text);
    static Node sequence();
    static Node map();

    bool is_null() const { return kind == Kind::Null; }
    bool is_scalar() const { return kind == Kind::Scalar; }
    bool is_sequence() const { return kind == Kind::Sequence; }
    bool is_map() const { return kind == Kind::Map; }
    /// The value of `key` in a map, or null.
    const Node* find(std::string_view key) const;
    const Entry* find_entry(std::string_view key) const;
    /// Adds to a map.
    void set(std::string_view key, Node value);
    /// Removes from a map, if there.
    void erase(std::string_view key);
    /// Of this tree, itself included: what a copy costs.
    std::size_t count() const;
};

struct Entry {
    std::string key;
    Position at;  ///< Of the key.
    Node value;
};

/// The same values; positions and quotes do not matter, the order of a map's keys does.
bool same(const Node& a, const Node& b);

/// What YAML 1.2 makes of a scalar without quotes (core schema, section 10.3.2).
enum class Scalar : std::uint8_t { Text, Boolean, Number, Null };
Scalar classify(std::string_view text);

/// How a message names what it found: `a list`, `'abc'`, `nothing`. Long and unprintable text is
/// shortened and escaped.
std::string describe(const Node& node);
std::string quoted(std::string_view text);

}  // namespace rproxy::config
