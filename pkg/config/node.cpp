#include "config/node.h"

#include <algorithm>
#include <array>
#include <utility>

namespace rproxy::config {

Node Node::null() {
    return {};
}

Node Node::string(std::string_view text) {
    Node node;
    node.kind = Kind::Scalar;
    node.text = text;
    return node;
}

Node Node::literal(std::string_view text) {
    Node node = string(text);
    node.plain = true;
    return node;
}

Node Node::sequence() {
    Node node;
    node.kind = Kind::Sequence;
    return node;
}

Node Node::map() {
    Node node;
    node.kind = Kind::Map;
    return node;
}

const Entry* Node::find_entry(std::string_view key) const {
    const auto found = std::ranges::find(entries, key, &Entry::key);
    return found == entries.end() ? nullptr : &*found;
}

const Node* Node::find(std::string_view key) const {
    const Entry* const entry = find_entry(key);
    return entry == nullptr ? nullptr : &entry->value;
}

void Node::set(std::string_view key, Node value) {
    entries.push_back(Entry{std::string(key), {}, std::move(value)});
}

void Node::erase(std::string_view key) {
    std::erase_if(entries, [key](const Entry& entry) { return entry.key == key; });
}

std::size_t Node::count() const {
    std::size_t total = 1;
    for (const auto& item : items) {
        total += item.count();
    }
    for (const auto& entry : entries) {
        total += 1 + entry.value.count();
    }
    return total;
}

bool same(const Node& a, const Node& b) {
    return a.kind == b.kind && a.text == b.text && std::ranges::equal(a.items, b.items, same) &&
           std::ranges::equal(a.entries, b.entries, [](const Entry& x, const Entry& y) {
               return x.key == y.key && same(x.value, y.value);
           });
}

namespace {

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

std::size_t skip_digits(std::string_view text, std::size_t at) {
    while (at < text.size() && is_digit(text[at])) {
        ++at;
    }
    return at;
}

/// [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?
bool is_decimal(std::string_view text) {
    std::size_t at = text.starts_with('-') || text.starts_with('+') ? 1 : 0;
    const std::size_t whole = at;
    at = skip_digits(text, at);
    std::size_t digits = at - whole;
    if (at < text.size() && text[at] == '.') {
        const std::size_t fraction = ++at;
        at = skip_digits(text, at);
        digits += at - fraction;
    }
    if (digits == 0) {
        return false;
    }
    if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
        ++at;
        if (at < text.size() && (text[at] == '-' || text[at] == '+')) {
            ++at;
        }
        const std::size_t exponent = at;
        at = skip_digits(text, at);
        if (at == exponent) {
            return false;
        }
    }
    return at == text.size();
}

bool is_prefixed_number(std::string_view text) {
    if (text.size() < 3 || text.front() != '0') {
        return false;
    }
    const auto digits = text.substr(2);
    if (text[1] == 'o') {
        return digits.find_first_not_of("01234567") == std::string_view::npos;
    }
    return text[1] == 'x' &&
           digits.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

constexpr std::array<std::string_view, 5> kNulls{"", "~", "null", "Null", "NULL"};
constexpr std::array<std::string_view, 6> kBooleans{"true",  "True",  "TRUE",
                                                    "false", "False", "FALSE"};
constexpr std::array<std::string_view, 12> kSpecialNumbers{".inf",  ".Inf",  ".INF",  "+.inf",
                                                           "+.Inf", "+.INF", "-.inf", "-.Inf",
                                                           "-.INF", ".nan",  ".NaN",  ".NAN"};

}  // namespace

Scalar classify(std::string_view text) {
    if (std::ranges::find(kNulls, text) != kNulls.end()) {
        return Scalar::Null;
    }
    if (std::ranges::find(kBooleans, text) != kBooleans.end()) {
        return Scalar::Boolean;
    }
    if (is_decimal(text) || is_prefixed_number(text) ||
        std::ranges::find(kSpecialNumbers, text) != kSpecialNumbers.end()) {
        return Scalar::Number;
    }
    return Scalar::Text;
}

std::string quoted(std::string_view text) {
    constexpr std::size_t kLongest = 60;
    std::string shown = "'";
    for (std::size_t i = 0; i < text.size(); ++i) {
        // Never in the middle of a character: cut before a byte that begins one.
        if (i >= kLongest && (static_cast<unsigned char>(text[i]) & 0xc0U) != 0x80U) {
            shown += "…";
            break;
        }
        const char c = text[i];
        if (c == '\n') {
            shown += "\\n";
        } else if (c == '\t') {
            shown += "\\t";
        } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
            shown += "?";
        } else {
            shown += c;
        }
    }
    return shown + "'";
}

std::string describe(const Node& node) {
    switch (node.kind) {
        case Node::Kind::Null:
            return "nothing";
        case Node::Kind::Sequence:
            return "a list";
        case Node::Kind::Map:
            return "a map";
        case Node::Kind::Scalar:
            break;
    }
    return quoted(node.text);
}

}  // namespace rproxy::config
