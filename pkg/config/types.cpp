#include "config/types.h"

#include "base/strings.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace rproxy::config {

namespace {

bool is_digits(std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

bool has_control(std::string_view text) {
    return std::ranges::any_of(
        text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

std::string without_leading_zeros(std::string_view digits) {
    const auto first = digits.find_first_not_of('0');
    return first == std::string_view::npos ? "0" : std::string(digits.substr(first));
}

std::string range_text(const std::string& least, const std::string& most) {
    return least + " to " + most;
}

std::string decimal(double value) {
    std::array<char, 32> buffer{};
    const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
    return {buffer.data(), result.ptr};
}

/// A type whose values are written with a unit: parse, print and compare are T's own.
template <typename T>
struct UnitRule {
    std::string name;
    std::string pattern;
    Shape::Bare bare;
    std::optional<T> (*parse)(std::string_view text);
    std::string (*print)(const T& value);
    std::string (*hint)(std::string_view digits);  ///< For a number without unit.
};

template <typename T>
Type<T> unit_type(const UnitRule<T>& rule, T least, T most) {
    const std::string range = range_text(rule.print(least), rule.print(most));
    Shape shape{.kind = Shape::Kind::Unit,
                .name = rule.name,
                .range = range,
                .pattern = rule.pattern,
                .bare = rule.bare};
    auto read = [rule, least, most, range](Reader& reader, const Node& node, T& value) {
        if (!node.is_scalar()) {
            reader.fail_type(node, rule.name);
            return;
        }
        const auto parsed = rule.parse(node.text);
        if (!parsed) {
            const bool bare = is_digits(node.text);
            reader.fail(node.at,
                        quoted(node.text) + (bare ? " has no unit" : " is not " + rule.name),
                        bare ? rule.hint(node.text) : "");
        } else if (*parsed < least || *parsed > most) {
            reader.fail(node.at, quoted(node.text) + " is out of range", range);
        } else {
            value = *parsed;
        }
    };
    auto write = [rule](const T& value) {
        const std::string text = rule.print(value);
        return is_digits(text) ? Node::literal(text) : Node::string(text);
    };
    return {.shape = std::move(shape), .read = std::move(read), .write = std::move(write)};
}

constexpr std::string_view kYesNo = "yes no on off y n";

std::string boolean_hint(std::string_view text) {
    const std::string lower = to_lower(text);
    for (const auto word : split_any(kYesNo, " ")) {
        if (lower == word) {
            const bool yes = lower == "yes" || lower == "on" || lower == "y";
            return std::string("write ") + (yes ? "true" : "false");
        }
    }
    return "true or false";
}

/// Units from large to small, each at most once and at least one of them: one alternative for each
/// unit that may come first, because the RE2 of Helm and others knows no look-ahead.
std::string duration_pattern() {
    static constexpr std::string_view kNumber = "[0-9]+(\\.[0-9]+)?";
    std::string alternatives;
    std::string smaller;
    for (const std::string_view unit : {"ms", "s", "m", "h", "d"}) {
        const auto part = std::string(kNumber).append(unit);
        alternatives.insert(0, smaller).insert(0, part).insert(0, 1, '|');
        smaller.insert(0, ")?").insert(0, part).insert(0, 1, '(');
    }
    return "^(0" + alternatives + ")$";
}

}  // namespace

Type<bool> boolean() {
    return {.shape = {.kind = Shape::Kind::Boolean},
            .read =
                [](Reader& reader, const Node& node, bool& value) {
                    const bool scalar = node.is_scalar();
                    const std::string lower = node.plain && classify(node.text) == Scalar::Boolean
                                                  ? to_lower(node.text)
                                                  : node.text;
                    if (!scalar) {
                        reader.fail_type(node, "true or false");
                    } else if (lower == "true" || lower == "false") {
                        value = lower == "true";
                    } else {
                        reader.fail(node.at, quoted(node.text) + " is not a boolean",
                                    boolean_hint(node.text));
                    }
                },
            .write = [](const bool& value) { return Node::literal(value ? "true" : "false"); }};
}

Shape integer_shape(std::uint64_t least, std::uint64_t most) {
    return {.kind = Shape::Kind::Integer,
            .name = "a whole number",
            .range = range_text(std::to_string(least), std::to_string(most)),
            .least = static_cast<double>(least),
            .most = static_cast<double>(most)};
}

std::optional<std::uint64_t> read_integer(Reader& reader, const Node& node, std::uint64_t least,
                                          std::uint64_t most) {
    const std::string range = range_text(std::to_string(least), std::to_string(most));
    if (!node.is_scalar()) {
        reader.fail_type(node, "a whole number, " + range);
        return std::nullopt;
    }
    const std::string& text = node.text;
    const bool negative = text.starts_with('-') && is_digits(std::string_view(text).substr(1));
    if (!is_digits(text) && !negative) {
        reader.fail(node.at, quoted(text) + " is not a whole number", range);
        return std::nullopt;
    }
    if (text.size() > 1 && text.front() == '0') {
        // YAML 1.1 tools read 010 as eight, YAML 1.2 ones as ten.
        reader.fail(node.at, quoted(text) + " begins with 0, which some tools read as octal",
                    "write " + without_leading_zeros(text));
        return std::nullopt;
    }
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || value < least || value > most) {
        reader.fail(node.at, quoted(text) + " is out of range", range);
        return std::nullopt;
    }
    return value;
}

Type<double> number(double least, double most) {
    const std::string range = range_text(decimal(least), decimal(most));
    return {.shape = {.kind = Shape::Kind::Number,
                      .name = "a number",
                      .range = range,
                      .least = least,
                      .most = most},
            .read =
                [least, most, range](Reader& reader, const Node& node, double& value) {
                    double parsed = 0;
                    const char* const last = node.text.data() + node.text.size();
                    const auto [end, error] =
                        std::from_chars(node.text.data(), last, parsed, std::chars_format::fixed);
                    if (!node.is_scalar() || error != std::errc{} || end != last ||
                        !std::isfinite(parsed)) {
                        reader.fail_type(node, "a number, " + range);
                    } else if (parsed < least || parsed > most) {
                        reader.fail(node.at, quoted(node.text) + " is out of range", range);
                    } else {
                        value = parsed;
                    }
                },
            .write = [](const double& value) { return Node::literal(decimal(value)); }};
}

Type<Duration> duration(Duration least, Duration most) {
    return unit_type<Duration>(
        {.name = "a duration such as 500ms, 5s or 1m30s",
         .pattern = duration_pattern(),
         .bare = Shape::Bare::Zero,
         .parse = parse_duration,
         .print = [](const Duration& value) { return format_duration(value); },
         .hint =
             [](std::string_view digits) {
                 return "write " + std::string(digits) + "s or " + std::string(digits) + "ms";
             }},
        least, most);
}

Type<ByteSize> size(ByteSize least, ByteSize most) {
    return unit_type<ByteSize>({.name = "a size such as 16KiB or 1MiB",
                                .pattern = "^[0-9]+(B|kB|KB|KiB|MB|MiB|GB|GiB)?$",
                                .bare = Shape::Bare::Any,
                                .parse = ByteSize::parse,
                                .print = [](const ByteSize& value) { return value.to_string(); },
                                .hint = [](std::string_view) { return std::string(); }},
                               least, most);
}

Type<Share> share(Share least, Share most) {
    return unit_type<Share>(
        {.name = "a share such as 20%",
         .pattern = R"(^(100(\.0+)?|[0-9]{1,2}(\.[0-9]+)?)%$)",
         .bare = Shape::Bare::No,
         .parse = Share::parse,
         .print = [](const Share& value) { return value.to_string(); },
         .hint = [](std::string_view digits) { return "write " + std::string(digits) + "%"; }},
        least, most);
}

Type<Cidr> network() {
    return {.shape = {.kind = Shape::Kind::Text,
                      .name = "a network such as 10.0.0.0/8",
                      .pattern = "^[0-9a-fA-F:.]+(/[0-9]{1,3})?$"},
            .read =
                [](Reader& reader, const Node& node, Cidr& value) {
                    const auto read = read_text(reader, node, "a network such as 10.0.0.0/8");
                    if (!read) {
                        return;
                    }
                    if (const auto parsed = Cidr::parse(*read)) {
                        value = *parsed;
                    } else {
                        reader.fail(node.at, quoted(*read) + " is not a network",
                                    "write it as 10.0.0.0/8 or fd00::/8");
                    }
                },
            .write = [](const Cidr& value) { return Node::string(value.to_string()); }};
}

std::optional<std::string> read_text(Reader& reader, const Node& node, std::string_view wanted) {
    if (!node.is_scalar()) {
        reader.fail_type(node, wanted);
        return std::nullopt;
    }
    if (node.plain) {
        const Scalar kind = classify(node.text);
        const bool yes_no = boolean_hint(node.text).starts_with("write ");
        if (kind != Scalar::Text || yes_no) {
            reader.fail(node.at,
                        quoted(node.text) + " is a " +
                            (kind == Scalar::Number ? "number" : "boolean") + " to YAML tools",
                        "for text write it in quotes: \"" + node.text + "\"");
            return std::nullopt;
        }
    }
    if (node.text.empty() || has_control(node.text)) {
        reader.fail(node.at,
                    node.text.empty() ? "the text is empty"
                                      : quoted(node.text) + " has a control character",
                    "expected " + std::string(wanted));
        return std::nullopt;
    }
    return node.text;
}

Type<std::string> text(const TextRule& rule) {
    return {.shape = {.kind = Shape::Kind::Text, .name = rule.name, .pattern = rule.pattern},
            .read =
                [rule](Reader& reader, const Node& node, std::string& value) {
                    auto read = read_text(reader, node, rule.name);
                    if (!read) {
                        return;
                    }
                    if (rule.valid(*read)) {
                        value = *std::move(read);
                    } else {
                        reader.fail(node.at, quoted(*read) + " is not " + rule.name);
                    }
                },
            .write = [](const std::string& value) { return Node::string(value); }};
}

Type<std::string> text_or_absent(const TextRule& rule) {
    auto type = text(rule);
    type.write = [](const std::string& value) {
        return value.empty() ? Node::null() : Node::string(value);
    };
    return type;
}

std::optional<std::size_t> read_word(Reader& reader, const Node& node,
                                     const std::vector<std::string>& words) {
    if (!node.is_scalar()) {
        reader.fail_type(node, any_of(words));
        return std::nullopt;
    }
    const auto found = std::ranges::find(words, node.text);
    if (found == words.end()) {
        reader.fail(node.at, "unknown value " + quoted(node.text),
                    hint_for_unknown_word(node.text, words));
        return std::nullopt;
    }
    return static_cast<std::size_t>(found - words.begin());
}

}  // namespace rproxy::config
