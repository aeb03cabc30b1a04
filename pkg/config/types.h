#pragma once

#include "base/byte_size.h"
#include "base/duration.h"
#include "base/endpoint.h"
#include "base/ip_address.h"
#include "base/share.h"
#include "config/hints.h"
#include "config/node.h"
#include "config/reader.h"
#include "config/shape.h"

#include <concepts>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// The kinds of values that keys have: how each is read, written and described. A value of the
/// configuration has one Type, used by the parser, the renderer, the schema and the reference.
namespace rproxy::config {

template <typename T>
struct Type {
    Shape shape;
    /// Reads `node` into `value`; on failure reports and leaves `value` as it was.
    std::function<void(Reader&, const Node&, T&)> read;
    /// The canonical form; null: absent.
    std::function<Node(const T&)> write;
};

Type<bool> boolean();
Type<double> number(double least, double most);
Type<Duration> duration(Duration least, Duration most);
Type<ByteSize> size(ByteSize least, ByteSize most);
Type<Share> share(Share least = percent(0), Share most = percent(100));
Type<Cidr> network();

/// Reads a whole number from `least` to `most`; reports and returns nothing if `node` is none.
std::optional<std::uint64_t> read_integer(Reader& reader, const Node& node, std::uint64_t least,
                                          std::uint64_t most);
Shape integer_shape(std::uint64_t least, std::uint64_t most);

template <std::unsigned_integral T>
Type<T> integer(T least, T most) {
    return {.shape = integer_shape(least, most),
            .read =
                [least, most](Reader& reader, const Node& node, T& value) {
                    if (const auto read = read_integer(reader, node, least, most)) {
                        value = static_cast<T>(*read);
                    }
                },
            .write = [](const T& value) { return Node::literal(std::to_string(value)); }};
}

/// The rule of a free text. `valid` is never asked about empty text or control characters: those
/// are always wrong.
struct TextRule {
    std::string name;     ///< `a file path`.
    std::string pattern;  ///< The same as `valid`, for the schema.
    bool (*valid)(std::string_view text);
};
Type<std::string> text(const TextRule& rule);
/// The same where the empty string in the Snapshot means that the key is absent.
Type<std::string> text_or_absent(const TextRule& rule);
/// Reads text that YAML tools agree on being text; reports and returns nothing otherwise. `wanted`
/// is for people.
std::optional<std::string> read_text(Reader& reader, const Node& node, std::string_view wanted);

enum class AddressOf : std::uint8_t { Backend, Listener };
/// A backend's address may be a name and has a port; a listener's is an IP address, and its port
/// may be 0 ("any free one", for tests).
Type<Endpoint> address(AddressOf whose);

/// One value of an enumeration; also a number where the word looks like one ("1.2", "502").
template <typename E>
struct Word {
    std::string word;
    E value;
};

/// The index of the word that `node` is; reports and returns nothing if it is none.
std::optional<std::size_t> read_word(Reader& reader, const Node& node,
                                     const std::vector<std::string>& words);

template <typename E>
Type<E> words(std::vector<Word<E>> table) {
    Shape shape{.kind = Shape::Kind::Words};
    for (const auto& row : table) {
        shape.words.push_back(row.word);
    }
    auto write = [table](const E& value) {
        for (const auto& row : table) {
            if (row.value == value) {
                return Node::string(row.word);
            }
        }
        return Node::null();
    };
    auto read = [table = std::move(table), names = shape.words](Reader& reader, const Node& node,
                                                                E& value) {
        if (const auto index = read_word(reader, node, names)) {
            value = table[*index].value;
        }
    };
    return {.shape = std::move(shape), .read = std::move(read), .write = std::move(write)};
}

template <typename T>
Type<std::optional<T>> optional(const Type<T>& type) {
    return {.shape = type.shape,
            .read =
                [read = type.read](Reader& reader, const Node& node, std::optional<T>& value) {
                    T present{};
                    read(reader, node, present);
                    value = std::move(present);
                },
            .write =
                [write = type.write](const std::optional<T>& value) {
                    return value ? write(*value) : Node::null();
                }};
}

enum class Empty : std::uint8_t { Allowed, Refused };

/// Every item is kept, also one that could not be read (with its defaults), so that items and nodes
/// stay side by side for the checks that follow.
template <typename T>
Type<std::vector<T>> list(const Type<T>& type, Empty empty = Empty::Allowed) {
    Shape shape{
        .kind = Shape::Kind::List, .not_empty = empty == Empty::Refused, .parts = {type.shape}};
    auto read = [read = type.read, empty](Reader& reader, const Node& node, std::vector<T>& value) {
        if (!node.is_sequence()) {
            reader.fail_type(node, "a list");
            return;
        }
        if (node.items.empty() && empty == Empty::Refused) {
            reader.fail(node.at, "an empty list", "give at least one");
        }
        value.clear();
        value.reserve(node.items.size());
        for (std::size_t i = 0; i < node.items.size(); ++i) {
            const Reader::Scope scope(reader, i);
            read(reader, node.items[i], value.emplace_back());
        }
    };
    auto write = [write = type.write](const std::vector<T>& value) {
        Node node = Node::sequence();
        for (const auto& item : value) {
            node.items.push_back(write(item));
        }
        return node;
    };
    return {.shape = std::move(shape), .read = std::move(read), .write = std::move(write)};
}

}  // namespace rproxy::config
