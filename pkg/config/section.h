#pragma once

#include "config/types.h"

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace rproxy::config {

/// One key of the struct S. The reading and writing part of a row of the table.
template <typename S>
struct Key {
    Shape shape;
    std::function<void(Reader&, const Node&, S&)> read;
    std::function<Node(const S&)> write;
};

/// A map with fixed keys: the rows of one struct, in the order in which they are documented and
/// written.
template <typename S>
struct Section {
    std::vector<Key<S>> keys;

    std::vector<std::string> names() const {
        std::vector<std::string> all;
        all.reserve(keys.size());
        for (const auto& key : keys) {
            all.push_back(key.shape.key.name);
        }
        return all;
    }
    const Key<S>* find(std::string_view name) const {
        for (const auto& key : keys) {
            if (key.shape.key.name == name) {
                return &key;
            }
        }
        return nullptr;
    }
    Shape shape() const {
        Shape all{.kind = Shape::Kind::Section};
        for (const auto& key : keys) {
            all.parts.push_back(key.shape);
        }
        return all;
    }
};

/// Reads what `entry` gives; an unknown key and a key without a value are reported.
template <typename S>
void read_entry(Reader& reader, const Entry& entry, S& into, const Section<S>& section) {
    const Key<S>* const key = section.find(entry.key);
    if (key == nullptr) {
        reader.fail_unknown_key(entry, section.names());
        return;
    }
    const Reader::Scope scope(reader, entry.key);
    if (entry.value.is_null()) {
        reader.fail(entry.at, "the key has no value",
                    key->shape.kind == Shape::Kind::List || key->shape.kind == Shape::Kind::Either
                        ? "give one, or [] for none"
                        : "give one, or remove the key");
        return;
    }
    key->read(reader, entry.value, into);
}

template <typename S>
void read_section(Reader& reader, const Node& node, S& into, const Section<S>& section) {
    if (!reader.expect_map(node)) {
        return;
    }
    for (const auto& entry : node.entries) {
        read_entry(reader, entry, into, section);
    }
    for (const auto& key : section.keys) {
        if (key.shape.key.required && node.find_entry(key.shape.key.name) == nullptr) {
            reader.fail(node.at, "the key '" + key.shape.key.name + "' is missing",
                        key.shape.key.example.empty()
                            ? std::string()
                            : "for example " + key.shape.key.name + ": " + key.shape.key.example);
        }
    }
}

template <typename S>
Node write_section(const S& from, const Section<S>& section) {
    Node node = Node::map();
    for (const auto& key : section.keys) {
        if (Node value = key.write(from); !value.is_null()) {
            node.set(key.shape.key.name, std::move(value));
        }
    }
    return node;
}

template <typename S>
Type<S> section_type(const Section<S>& section) {
    return {.shape = section.shape(),
            .read = [section](Reader& reader, const Node& node,
                              S& value) { read_section(reader, node, value, section); },
            .write = [section](const S& value) { return write_section(value, section); }};
}

struct Doc {
    std::string meaning;
    std::string example{};
    bool required{false};
    std::string instead_of{};
};

/// The row of the key that is the member `member`; its default is the one that the struct has.
template <typename S, typename T>
Key<S> key(const std::string& name, T S::* member, const Type<T>& type, const Doc& doc) {
    Key<S> row;
    row.shape = type.shape;
    row.shape.key = {.name = name,
                     .meaning = doc.meaning,
                     .example = doc.example,
                     .required = doc.required,
                     .instead_of = doc.instead_of,
                     .default_value = doc.required ? Node::null() : type.write(S{}.*member)};
    row.read = [read = type.read, member](Reader& reader, const Node& node, S& into) {
        read(reader, node, into.*member);
    };
    row.write = [write = type.write, member](const S& from) { return write(from.*member); };
    return row;
}

/// A map in the file whose keys are members of S itself.
template <typename S>
Key<S> group(const std::string& name, const Section<S>& inner, const Doc& doc) {
    const auto write = [inner](const S& from) {
        const Node node = write_section(from, inner);
        return node.entries.empty() ? Node::null() : node;
    };
    Key<S> row;
    row.shape = inner.shape();
    row.shape.key = {.name = name,
                     .meaning = doc.meaning,
                     .example = doc.example,
                     .required = doc.required,
                     .instead_of = doc.instead_of,
                     .default_value = write(S{})};
    row.read = [inner](Reader& reader, const Node& node, S& into) {
        read_section(reader, node, into, inner);
    };
    row.write = write;
    return row;
}

}  // namespace rproxy::config
