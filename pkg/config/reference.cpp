#include "config/reference.h"

#include "config/hints.h"
#include "config/table.h"
#include "config/yaml_writer.h"

#include <algorithm>
#include <string_view>
#include <vector>

namespace rproxy::config {

namespace {

constexpr std::string_view kIntroduction = R"(# Configuration

<!-- Generated from the table in pkg/config; do not edit. To write it anew:
     RPROXY_UPDATE_DOCS=1 ctest -R config_test -->

One YAML file is the whole interface. It is applied whole or not at all; `rproxy check FILE` says
everything that is wrong with it, `rproxy plan OLD NEW` what a change would do, and `rproxy schema`
prints its JSON Schema for editors and CI.

## The shortest file
It listens on `0.0.0.0:8080`, has one pool named `default` and routes everything to it.
```yaml
method: least_connections
backends: [10.0.0.1:8080, 10.0.0.2:8080]
```

## Rules
- An unknown key, a wrong type, a value out of range, a duplicate key, backend, listener or route,
  and a name that nothing has are errors. All are reported at once, each as
  `FILE:LINE:COLUMN: KEY.PATH: what is wrong, what would be right`.
- An address is `host:port`, `[v6]:port` or `unix:/path`. YAML wants quotes around the brackets:
  `"[::1]:8080"`.
- A duration has units: `500ms`, `5s`, `1m30s`, `2h`, `1d`; only `0` needs none. A size is `16KiB`,
  `1MiB`, `1MB` or a number of bytes. A share is `20%`.
- A boolean is `true` or `false`; `yes`, `no`, `on` and `off` are errors, because YAML tools
  disagree about them. So are numbers with leading zeros, which some read as octal, and text that
  looks like a number or boolean and is not in quotes.
- Anchors, aliases and merge keys (`<<`) work; a key beside a merge wins. A file is one document of
  UTF-8, at most 8 MiB and 1,000,000 values with all aliases expanded.
- A key without a value is an error: an empty template must not switch anything off silently. No
  backends are written `backends: []`.
- Nothing in the file is ever a template, a script or a command.

## The short form
With one pool its keys may stand at the top of the file, without `pools`; the pool is then named
`default`. )";

constexpr std::string_view kShortExample = R"(
`backends` may also be one string with any separators, as people paste it:
```yaml
backends: "10.0.0.1:8080; 10.0.0.2:8080"
health_check: {path: /healthz}
```

## The full form
Every key, with its default except where a comment says "example".
)";

bool is_example(const Shape& part) {
    return part.key.required || part.key.default_value.is_null();
}

/// The part of the meaning that fits behind a value.
std::string brief(std::string_view meaning) {
    const auto end = std::min(meaning.find(". "), meaning.find("; "));
    std::string text(meaning.substr(0, end));
    while (text.ends_with('.')) {
        text.pop_back();
    }
    return text;
}

void write_example(std::string& out, const Shape& section, const std::string& indent);

void write_leaf(std::string& out, const Shape& part) {
    const bool example =
        is_example(part) || (part.kind == Shape::Kind::List && !part.key.example.empty());
    const std::string value = example ? part.key.example : yaml_flow(part.key.default_value);
    out += " " + value + "  # " + (example ? "example: " : "") + brief(part.key.meaning) + "\n";
}

void write_example_part(std::string& out, const Shape& part, const std::string& indent) {
    if (!part.key.instead_of.empty()) {
        out += indent + "# " + part.key.name + ": " + part.key.example + "  # instead of `" +
               part.key.instead_of + "`: " + brief(part.key.meaning) + "\n";
        return;
    }
    out += indent + part.key.name + ":";
    const bool section_list =
        part.kind == Shape::Kind::List && part.parts.front().kind == Shape::Kind::Section;
    if (part.kind != Shape::Kind::Section && part.kind != Shape::Kind::Named && !section_list) {
        write_leaf(out, part);
        return;
    }
    const bool optional = part.kind == Shape::Kind::Section && is_example(part);
    out += std::string("  # ") + (optional ? "example: " : "") + brief(part.key.meaning) + "\n";
    if (part.kind == Shape::Kind::Section) {
        write_example(out, part, indent + "  ");
    } else if (part.kind == Shape::Kind::Named) {
        out += indent + "  web:  # example: the name of a pool\n";
        write_example(out, part.parts.front(), indent + "    ");
    } else {
        std::string item;
        write_example(item, part.parts.front(), indent + "    ");
        item.replace(indent.size() + 2, 1, "-");
        out += item;
    }
}

void write_example(std::string& out, const Shape& section, const std::string& indent) {
    for (const auto& part : section.parts) {
        write_example_part(out, part, indent);
    }
}

/// What may be written, in words.
std::string value_text(const Shape& shape) {
    switch (shape.kind) {
        case Shape::Kind::Boolean:
            return "`true` or `false`";
        case Shape::Kind::Words: {
            std::vector<std::string> words;
            words.reserve(shape.words.size());
            for (const auto& word : shape.words) {
                words.push_back("`" + word + "`");
            }
            return any_of(words);
        }
        case Shape::Kind::Section:
            return "a map: see below";
        case Shape::Kind::Named:
            return "a map of names, each with a map: see below";
        case Shape::Kind::List: {
            const Shape& item = shape.parts.front();
            const bool section = item.kind == Shape::Kind::Section;
            return section ? "a list of maps: see below" : "a list of: " + value_text(item);
        }
        default:
            break;
    }
    return shape.name + (shape.range.empty() ? "" : ", " + shape.range);
}

/// `|` would end the cell.
std::string cell(std::string text) {
    for (std::size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) {
        text.insert(at, "\\");
    }
    return text;
}

std::string default_text(const Shape& part) {
    if (part.key.required) {
        return "required";
    }
    const Node& fallback = part.key.default_value;
    const bool in_own_table =
        fallback.is_map() ||
        (fallback.is_sequence() && !fallback.items.empty() && fallback.items.front().is_map());
    if (fallback.is_null() || in_own_table) {
        return fallback.is_null() ? "absent" : "see below";
    }
    return "`" + yaml_flow(fallback) + "`";
}

void write_table(std::string& out, const Shape& section) {
    out += "| Key | Value | Default | Meaning |\n|---|---|---|---|\n";
    for (const auto& part : section.parts) {
        out += "| `" + part.key.name + "` | " + cell(value_text(part)) + " | " +
               cell(default_text(part)) + " | " + cell(part.key.meaning);
        if (!part.key.example.empty()) {
            out += " Example: `" + cell(part.key.example) + "`.";
        }
        out += " |\n";
    }
}

void write_sections(std::string& out, const Shape& shape, const std::string& path,
                    std::string_view meaning) {
    if (shape.kind == Shape::Kind::Section) {
        if (!path.empty()) {
            out += "\n### `" + path + "`\n" + std::string(meaning) + "\n\n";
        }
        write_table(out, shape);
    }
    for (const auto& part : shape.parts) {
        std::string part_path = path;
        std::string_view part_meaning = meaning;
        if (shape.kind == Shape::Kind::Section) {
            part_path += (path.empty() ? "" : ".") + part.key.name;
            part_meaning = part.key.meaning;
        } else if (shape.kind == Shape::Kind::List) {
            part_path += "[]";
        } else if (shape.kind == Shape::Kind::Named) {
            part_path += ".NAME";
        }
        write_sections(out, part, part_path, part_meaning);
    }
}

}  // namespace

std::string reference_markdown() {
    std::string out(kIntroduction);
    std::vector<std::string> short_keys;
    for (const auto& key : pool_section().keys) {
        if (allowed_in_short_form(key.shape.key.name)) {
            short_keys.push_back("`" + key.shape.key.name + "`");
        }
    }
    out +=
        "These keys may: " + any_of(short_keys) +
        ". `timeouts` may not, because at the top they are those of\nthe clients, nor may `tls`, "
        "which could mean either side: for these write `pools`.\n";
    out += kShortExample;
    out += "```yaml\n";
    write_example(out, snapshot_shape(), "");
    out += "```\n\n## Every key\n### The file\n\n";
    write_sections(out, snapshot_shape(), "", "");
    return out;
}

}  // namespace rproxy::config
