#include "fuzz/strict_http.h"

#include <algorithm>
#include <array>

namespace rproxy::fuzz {

namespace {

using End = StrictMessage::End;
using Fields = std::vector<std::pair<std::string, std::string>>;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/// RFC 9110 §5.6.2.
bool is_token(std::string_view text) {
    constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
    return !text.empty() && std::ranges::all_of(text, [&](char c) {
        return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               kMarks.find(c) != std::string_view::npos;
    });
}

/// RFC 9110 §5.5: visible characters, obs-text, space and tab.
bool is_text(std::string_view text) {
    return std::ranges::all_of(text, [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return c == '\t' || (byte >= 0x20 && byte != 0x7f);
    });
}

std::string_view trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(" \t");
    return first == std::string_view::npos
               ? std::string_view{}
               : text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::vector<std::string> split(std::string_view text, char separator) {
    std::vector<std::string> parts;
    while (true) {
        const auto at = text.find(separator);
        parts.emplace_back(trimmed(text.substr(0, at)));
        if (at == std::string_view::npos) {
            return parts;
        }
        text.remove_prefix(at + 1);
    }
}

/// The next line without its CRLF, taken off `rest`. Nothing: not there as a whole, or (`bad`)
/// there is a CR or LF that is no part of one.
std::optional<std::string_view> line_of(std::string_view& rest, bool& bad) {
    const auto at = rest.find_first_of("\r\n");
    if (at == std::string_view::npos || (rest[at] == '\r' && at + 1 == rest.size())) {
        return std::nullopt;
    }
    if (rest[at] == '\n' || rest[at + 1] != '\n') {
        bad = true;
        return std::nullopt;
    }
    const auto line = rest.substr(0, at);
    rest.remove_prefix(at + 2);
    return line;
}

/// Field lines up to the empty one. InHead: more must come.
End fields_of(std::string_view& rest, Fields& fields) {
    while (true) {
        bool bad = false;
        const auto line = line_of(rest, bad);
        if (!line) {
            return bad ? End::BadHead : End::InHead;
        }
        if (line->empty()) {
            return End::Whole;
        }
        const auto colon = line->find(':');
        if (colon == std::string_view::npos || !is_token(line->substr(0, colon)) ||
            !is_text(line->substr(colon + 1))) {
            return End::BadHead;
        }
        fields.emplace_back(lower(line->substr(0, colon)), trimmed(line->substr(colon + 1)));
    }
}

std::optional<std::uint64_t> number_of(std::string_view text, unsigned base) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::uint64_t number = 0;
    for (const char c : lower(text)) {
        const auto digit = kDigits.substr(0, base).find(c);
        if (digit == std::string_view::npos || number > (UINT64_MAX - digit) / base) {
            return std::nullopt;
        }
        number = number * base + digit;
    }
    return text.empty() ? std::nullopt : std::optional(number);
}

/// RFC 9112 §7.1.1: `;` name [`=` (token or quoted string)], each.
bool is_extension_list(std::string_view text) {
    while (!text.empty()) {
        text = text.substr(std::min(text.find_first_not_of(" \t"), text.size()));
        if (text.empty() || text.front() != ';') {
            return false;
        }
        text.remove_prefix(1);
        const auto name_end = std::min(text.find_first_of(";="), text.size());
        if (!is_token(trimmed(text.substr(0, name_end)))) {
            return false;
        }
        text.remove_prefix(name_end);
        if (text.empty() || text.front() == ';') {
            continue;
        }
        text.remove_prefix(1);
        text = text.substr(std::min(text.find_first_not_of(" \t"), text.size()));
        if (text.starts_with('"')) {
            std::size_t at = 1;
            while (at < text.size() && text[at] != '"') {
                at += text[at] == '\\' ? 2 : 1;
            }
            if (at >= text.size() || !is_text(text.substr(0, at))) {
                return false;
            }
            text.remove_prefix(at + 1);
        } else {
            const auto value_end = std::min(text.find_first_of("; \t"), text.size());
            if (!is_token(text.substr(0, value_end))) {
                return false;
            }
            text.remove_prefix(value_end);
        }
    }
    return true;
}

End chunks_of(std::string_view& rest, StrictMessage& message) {
    while (true) {
        bool bad = false;
        const auto line = line_of(rest, bad);
        if (!line) {
            return bad ? End::BadBody : End::InBody;
        }
        const auto digits = std::min(line->find_first_of("; \t"), line->size());
        const auto size = number_of(line->substr(0, digits), 16);
        if (!size || !is_extension_list(line->substr(digits))) {
            return End::BadBody;
        }
        if (*size == 0) {
            const End end = fields_of(rest, message.trailers);
            return end == End::BadHead ? End::BadBody : end == End::InHead ? End::InBody : end;
        }
        const auto piece = rest.substr(0, *size);
        message.body += piece;
        rest.remove_prefix(piece.size());
        if (piece.size() < *size || rest.size() < 2) {
            return !rest.empty() && rest.front() != '\r' ? End::BadBody : End::InBody;
        }
        if (!rest.starts_with("\r\n")) {
            return End::BadBody;
        }
        rest.remove_prefix(2);
    }
}

/// RFC 9112 §6: what delimits the body; nothing if it is ambiguous.
struct Framing {
    bool chunked{false};
    std::optional<std::uint64_t> length;
};
std::optional<Framing> framing_of(const StrictMessage& message) {
    const auto lengths = message.values("content-length");
    const auto codings = message.values("transfer-encoding");
    if (lengths.size() + codings.size() > 1) {
        return std::nullopt;
    }
    if (!codings.empty()) {
        return message.minor == 1 && lower(codings.front()) == "chunked"
                   ? std::optional(Framing{true, {}})
                   : std::nullopt;
    }
    if (lengths.empty()) {
        return Framing{};
    }
    const auto length = number_of(lengths.front(), 10);
    return length ? std::optional(Framing{false, length}) : std::nullopt;
}

/// The body behind a head that was read; `rest` begins with it.
void take_body(StrictMessage& message, std::string_view bytes, std::string_view rest,
               const Framing& framing) {
    if (framing.chunked) {
        message.end = chunks_of(rest, message);
    } else {
        const auto body = rest.substr(0, framing.length.value_or(0));
        message.body = body;
        message.end = body.size() < framing.length.value_or(0) ? End::InBody : End::Whole;
        rest.remove_prefix(body.size());
    }
    message.size = bytes.size() - rest.size();
}

}  // namespace

std::string lower(std::string_view text) {
    std::string result(text);
    std::ranges::transform(result, result.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return result;
}

std::vector<std::string> StrictMessage::values(std::string_view name) const {
    std::vector<std::string> found;
    for (const auto& [field, value] : fields) {
        if (field == name) {
            found.push_back(value);
        }
    }
    return found;
}

std::optional<std::string> StrictMessage::value(std::string_view name) const {
    const auto found = values(name);
    return found.empty() ? std::nullopt : std::optional(found.front());
}

bool StrictMessage::lists(std::string_view name, std::string_view token) const {
    return std::ranges::any_of(values(name), [&](const std::string& value) {
        return std::ranges::any_of(
            split(value, ','), [&](const std::string& element) { return lower(element) == token; });
    });
}

StrictMessage strict_request(std::string_view bytes) {
    StrictMessage message;
    std::string_view rest = bytes;
    while (rest.starts_with("\r\n")) {
        rest.remove_prefix(2);  // RFC 9112 §2.2
    }
    bool bad = false;
    const auto line = line_of(rest, bad);
    if (!line) {
        message.end = bad ? End::BadHead : End::InHead;
        return message;
    }
    const auto first = line->find(' ');
    const auto last = line->rfind(' ');
    message.end = End::BadHead;
    if (first == std::string_view::npos || first == last) {
        return message;
    }
    message.method = line->substr(0, first);
    message.target = line->substr(first + 1, last - first - 1);
    const auto version = line->substr(last + 1);
    const bool visible = std::ranges::all_of(
        message.target, [](char c) { return c > 0x20 && static_cast<unsigned char>(c) < 0x7f; });
    if (!is_token(message.method) || message.target.empty() || !visible ||
        (version != "HTTP/1.1" && version != "HTTP/1.0")) {
        return message;
    }
    message.minor = version.back() - '0';
    message.end = fields_of(rest, message.fields);
    if (message.end != End::Whole) {
        return message;
    }
    const auto framing = framing_of(message);
    const auto hosts = message.values("host").size();
    if (!framing || hosts > 1 || (hosts == 0 && message.minor == 1)) {
        message.end = End::BadHead;
        return message;
    }
    take_body(message, bytes, rest, *framing);
    return message;
}

StrictMessage strict_response(std::string_view bytes, std::string_view method, bool closed) {
    StrictMessage message;
    std::string_view rest = bytes;
    bool bad = false;
    const auto line = line_of(rest, bad);
    if (!line) {
        message.end = bad ? End::BadHead : End::InHead;
        return message;
    }
    message.end = End::BadHead;
    constexpr std::size_t kStatusAt = 9;
    const bool shaped = (line->starts_with("HTTP/1.1 ") || line->starts_with("HTTP/1.0 ")) &&
                        line->size() > kStatusAt + 3 && (*line)[kStatusAt + 3] == ' ' &&
                        is_text(*line);
    const auto status = shaped ? number_of(line->substr(kStatusAt, 3), 10) : std::nullopt;
    if (!status || *status < 100 || *status > 599) {
        return message;
    }
    message.status = static_cast<int>(*status);
    message.minor = (*line)[7] - '0';
    message.end = fields_of(rest, message.fields);
    if (message.end != End::Whole) {
        return message;
    }
    auto framing = framing_of(message);
    if (!framing) {
        message.end = End::BadHead;
        return message;
    }
    const bool bodiless =
        message.status < 200 || message.status == 204 || message.status == 304 || method == "HEAD";
    if (bodiless) {
        framing = Framing{};
    } else if (!framing->chunked && !framing->length) {
        message.close_delimited = true;
        message.body = rest;
        message.end = closed ? End::Whole : End::InBody;
        message.size = bytes.size();
        return message;
    }
    take_body(message, bytes, rest, *framing);
    return message;
}

}  // namespace rproxy::fuzz
