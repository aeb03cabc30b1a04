#include "config/yaml_writer.h"

#include "base/strings.h"

#include <algorithm>
#include <array>

namespace rproxy::config {

namespace {

constexpr std::size_t kLongestLine = 100;

bool is_safe_char(char c) {
    const char lower = ascii_lower(c);
    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') ||
           std::string_view("_./%+-:@~$^()=;").contains(c);
}

/// What YAML 1.1 tools take for a boolean; kubectl and Helm are such tools.
bool is_old_boolean(std::string_view text) {
    constexpr std::array<std::string_view, 6> kWords{"yes", "no", "on", "off", "y", "n"};
    return std::ranges::any_of(kWords,
                               [text](auto word) { return equals_ignoring_case(word, text); });
}

bool is_safe_plain(std::string_view text) {
    const char first = text.empty() ? '\0' : text.front();
    const char lower = ascii_lower(first);
    const bool good_first =
        (lower >= 'a' && lower <= 'z') || (first >= '0' && first <= '9') || first == '/';
    // YAML 1.1 reads 12:30 as a number to the base of sixty.
    const bool sexagesimal = text.find_first_not_of("0123456789:_") == std::string_view::npos;
    return good_first && !text.ends_with(':') && std::ranges::all_of(text, is_safe_char) &&
           classify(text) == Scalar::Text && !is_old_boolean(text) && !sexagesimal;
}

std::string in_quotes(std::string_view text) {
    constexpr std::string_view kHex = "0123456789abcdef";
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (byte < 0x20 || byte == 0x7f) {
            out += "\\x";
            out += kHex[byte >> 4U];
            out += kHex[byte & 0xfU];
        } else {
            out += c;
        }
    }
    return out + "\"";
}

std::string yaml_key(std::string_view key) {
    return is_safe_plain(key) ? std::string(key) : in_quotes(key);
}

bool has_entries(const Node& node) {
    return !node.items.empty() || !node.entries.empty();
}

/// Whether all of it are values or lists of values: one line is enough for such.
bool is_small(const Node& node) {
    const auto is_leaf = [](const Node& value) {
        return std::ranges::none_of(value.items, has_entries) && value.entries.empty();
    };
    return std::ranges::all_of(node.items, is_leaf) &&
           std::ranges::all_of(node.entries,
                               [&](const Entry& entry) { return is_leaf(entry.value); });
}

void write_map(std::string& out, const Node& map, std::size_t indent);

/// Writes what follows `key:` or `-`, from the space on, newline included.
void write_value(std::string& out, const Node& value, std::size_t indent, bool in_list) {
    const std::size_t column = out.size() - (out.rfind('\n') + 1);
    const bool small = value.is_scalar() || value.is_null() || is_small(value);
    if (const std::string flow = small ? yaml_flow(value) : "";
        value.is_scalar() || !has_entries(value) ||
        (small && column + flow.size() < kLongestLine)) {
        out += " " + yaml_flow(value) + "\n";
        return;
    }
    if (value.is_map()) {
        if (!in_list) {
            out += "\n";
            write_map(out, value, indent);
            return;
        }
        // The first key follows the dash.
        std::string nested;
        write_map(nested, value, indent);
        out += " " + nested.substr(indent);
        return;
    }
    out += "\n";
    for (const auto& item : value.items) {
        out += std::string(indent, ' ') + "-";
        write_value(out, item, indent + 2, true);
    }
}

void write_map(std::string& out, const Node& map, std::size_t indent) {
    for (const auto& entry : map.entries) {
        out += std::string(indent, ' ') + yaml_key(entry.key) + ":";
        write_value(out, entry.value, indent + 2, false);
    }
}

}  // namespace

std::string yaml_scalar(const Node& node) {
    if (node.is_null()) {
        return "null";
    }
    return node.plain || is_safe_plain(node.text) ? node.text : in_quotes(node.text);
}

std::string yaml_flow(const Node& node) {
    std::string out;
    if (node.is_sequence()) {
        for (const auto& item : node.items) {
            out += (out.empty() ? "" : ", ") + yaml_flow(item);
        }
        return "[" + out + "]";
    }
    if (node.is_map()) {
        for (const auto& entry : node.entries) {
            out += (out.empty() ? "" : ", ") + yaml_key(entry.key) + ": " + yaml_flow(entry.value);
        }
        return "{" + out + "}";
    }
    return yaml_scalar(node);
}

std::string yaml_block(const Node& root) {
    std::string out;
    write_map(out, root, 0);
    return out;
}

}  // namespace rproxy::config
