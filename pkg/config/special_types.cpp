#include "config/special_types.h"

#include "base/strings.h"
#include "config/section.h"
#include "config/text_rules.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

namespace rproxy::config {

namespace {

constexpr std::string_view kHashOnForm = "client_ip, header:NAME, cookie:NAME or path";
constexpr std::string_view kStatusForm = "status codes such as 200, 200-399 or 200,204";

void read_hash_on(Reader& reader, const Node& node, HashOn& value) {
    const auto read = read_text(reader, node, kHashOnForm);
    if (!read) {
        return;
    }
    using enum HashOn::Source;
    if (*read == "client_ip" || *read == "path") {
        value = HashOn{*read == "path" ? Path : ClientIp, {}};
        return;
    }
    const auto colon = read->find(':');
    const std::string source = read->substr(0, colon);
    const std::string name = colon == std::string::npos ? "" : read->substr(colon + 1);
    const bool named = source == "header" || source == "cookie";
    if (!named) {
        const std::vector<std::string> known{"client_ip", "header:NAME", "cookie:NAME", "path"};
        reader.fail(node.at, "unknown value " + quoted(*read), hint_for_unknown_word(*read, known));
    } else if (name.empty() || !http_token().valid(name)) {
        reader.fail(node.at, quoted(*read) + " lacks the name of a " + source,
                    "write " + source + ":NAME");
    } else {
        value = source == "header" ? HashOn{Header, to_lower(name)} : HashOn{Cookie, name};
    }
}

std::string hash_on_text(const HashOn& value) {
    switch (value.source) {
        case HashOn::Source::ClientIp:
            return "client_ip";
        case HashOn::Source::Header:
            return "header:" + value.name;
        case HashOn::Source::Cookie:
            return "cookie:" + value.name;
        case HashOn::Source::Path:
            break;
    }
    return "path";
}

std::optional<std::uint16_t> parse_status(std::string_view text) {
    std::uint16_t status = 0;
    const char* const last = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), last, status);
    if (error != std::errc{} || end != last || text.size() != 3 || status < 100 || status > 599) {
        return std::nullopt;
    }
    return status;
}

std::optional<StatusRange> parse_status_range(std::string_view text) {
    const auto dash = text.find('-');
    const auto first = parse_status(text.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : parse_status(text.substr(dash + 1));
    if (!first || !last || *first > *last) {
        return std::nullopt;
    }
    return StatusRange{*first, *last};
}

/// `2xx`, as others write it.
std::string status_hint(std::string_view text) {
    const bool one_digit = text.size() == 3 && text.front() >= '1' && text.front() <= '5';
    if (one_digit && to_lower(text.substr(1)) == "xx") {
        const std::string digit(text.substr(0, 1));
        return "write " + digit + "00-" + digit + "99";
    }
    return "expected " + std::string(kStatusForm) + ", 100 to 599";
}

void read_statuses(Reader& reader, const Node& node, std::vector<StatusRange>& value) {
    if (!node.is_scalar()) {
        reader.fail_type(node, kStatusForm);
        return;
    }
    const auto pieces = split_any(node.text, ", \t");
    if (pieces.empty()) {
        reader.fail(node.at, "no status code", "expected " + std::string(kStatusForm));
    }
    for (const auto piece : pieces) {
        if (const auto range = parse_status_range(piece)) {
            value.push_back(*range);
        } else {
            reader.fail(node.at, quoted(piece) + " is not a status code or a range of them",
                        status_hint(piece));
        }
    }
}

void read_expect_status(Reader& reader, const Node& node, std::vector<StatusRange>& value) {
    std::vector<StatusRange> ranges;
    if (!node.is_sequence()) {
        read_statuses(reader, node, ranges);
    } else if (node.items.empty()) {
        reader.fail(node.at, "an empty list", "expected " + std::string(kStatusForm));
    }
    for (std::size_t i = 0; i < node.items.size(); ++i) {
        const Reader::Scope scope(reader, i);
        read_statuses(reader, node.items[i], ranges);
    }
    if (!ranges.empty()) {
        value = std::move(ranges);
    }
}

Node write_statuses(const std::vector<StatusRange>& value) {
    std::string text;
    for (const auto& range : value) {
        text += (text.empty() ? "" : ",") + std::to_string(range.first);
        if (range.last != range.first) {
            text += "-" + std::to_string(range.last);
        }
    }
    const bool number = value.size() == 1 && value.front().first == value.front().last;
    return number ? Node::literal(text) : Node::string(text);
}

}  // namespace

Type<HashOn> hash_on() {
    return {.shape = {.kind = Shape::Kind::Text,
                      .name = std::string(kHashOnForm),
                      .pattern = "^(client_ip|path|(header|cookie):[A-Za-z0-9!#$%&'*+.^_`|~-]+)$"},
            .read = read_hash_on,
            .write = [](const HashOn& value) { return Node::string(hash_on_text(value)); }};
}

Type<std::vector<StatusRange>> expect_status() {
    const Shape one{.kind = Shape::Kind::Either,
                    .parts = {integer_shape(100, 599),
                              Shape{.kind = Shape::Kind::Text,
                                    .name = std::string(kStatusForm),
                                    .pattern = "^[, ]*[1-5][0-9]{2}(-[1-5][0-9]{2})?"
                                               "([, ]+[1-5][0-9]{2}(-[1-5][0-9]{2})?)*[, ]*$"}}};
    Shape shape = one;
    shape.name = kStatusForm;
    shape.parts.push_back(Shape{.kind = Shape::Kind::List, .not_empty = true, .parts = {one}});
    return {.shape = std::move(shape), .read = read_expect_status, .write = write_statuses};
}

Type<WhenAllDown> when_all_down() {
    using enum WhenAllDown::Action;
    const auto action = words<WhenAllDown::Action>({{"try_anyway", TryAnyway}, {"fail", Fail}});
    const Section<WhenAllDown> other{
        {key("pool", &WhenAllDown::pool, text(object_name()),
             {.meaning = "The pool that takes over.", .example = "sorry", .required = true})}};
    auto read = [action, other](Reader& reader, const Node& node, WhenAllDown& value) {
        if (node.is_map()) {
            WhenAllDown fallback{UsePool, {}};
            read_section(reader, node, fallback, other);
            value = std::move(fallback);
        } else if (node.is_scalar()) {
            action.read(reader, node, value.action);
        } else {
            reader.fail_type(node, "try_anyway, fail or {pool: NAME}");
        }
    };
    auto write = [action, other](const WhenAllDown& value) {
        return value.action == UsePool ? write_section(value, other) : action.write(value.action);
    };
    return {.shape = {.kind = Shape::Kind::Either,
                      .name = "try_anyway, fail or {pool: NAME}",
                      .parts = {action.shape, other.shape()}},
            .read = std::move(read),
            .write = std::move(write)};
}

Type<std::uint8_t> retry_causes() {
    using enum RetryOn;
    const auto cause = words<RetryOn>({{"connect_failure", ConnectFailure},
                                       {"reset", Reset},
                                       {"timeout", Timeout},
                                       {"502", Status502},
                                       {"503", Status503},
                                       {"504", Status504}});
    const auto causes = list(cause);
    auto read = [causes](Reader& reader, const Node& node, std::uint8_t& value) {
        std::vector<RetryOn> found;
        causes.read(reader, node, found);
        std::uint8_t bits = 0;
        for (const auto one : found) {
            bits = static_cast<std::uint8_t>(bits | static_cast<std::uint8_t>(one));
        }
        value = bits;
    };
    auto write = [causes](const std::uint8_t& value) {
        std::vector<RetryOn> set;
        for (const auto one : {ConnectFailure, Reset, Timeout, Status502, Status503, Status504}) {
            if ((value & static_cast<std::uint8_t>(one)) != 0) {
                set.push_back(one);
            }
        }
        return causes.write(set);
    };
    return {.shape = causes.shape, .read = std::move(read), .write = std::move(write)};
}

Type<std::string> route_host() {
    auto type = text_or_absent(host_name());
    type.read = [](Reader& reader, const Node& node, std::string& value) {
        const auto read = read_text(reader, node, host_name().name);
        if (!read) {
            return;
        }
        if (host_name().valid(*read)) {
            value = to_lower(*read);
            return;
        }
        const auto colon = read->find(':');
        std::string hint = "routes choose by exact host";
        if (colon != std::string::npos && host_name().valid(read->substr(0, colon))) {
            hint = "leave out the port: " + read->substr(0, colon);
        } else if (read->starts_with('*')) {
            hint = "a route is for one exact host, or for any if it has no 'host'";
        }
        reader.fail(node.at, quoted(*read) + " is not " + host_name().name, hint);
    };
    return type;
}

}  // namespace rproxy::config
