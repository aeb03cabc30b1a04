#include "log/escape.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace rproxy::log {

namespace {

constexpr std::uint64_t kOnes = 0x0101010101010101U;
constexpr std::uint64_t kHighBits = 0x8080808080808080U;

/// Bit 7 of some byte is set if some byte of `word` is zero (exact as a yes or no).
constexpr std::uint64_t has_zero(std::uint64_t word) {
    return (word - kOnes) & ~word & kHighBits;
}

/// Whether eight bytes can be copied: ASCII from space on, neither quote nor backslash.
constexpr bool all_plain(std::uint64_t word) {
    const std::uint64_t below_space = (word - kOnes * 0x20) & ~word;
    const std::uint64_t quote = has_zero(word ^ (kOnes * '"'));
    const std::uint64_t backslash = has_zero(word ^ (kOnes * '\\'));
    return ((word | below_space | quote | backslash) & kHighBits) == 0;
}

constexpr bool is_plain(unsigned char c) {
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

constexpr bool is_continuation(char c) {
    return (static_cast<unsigned char>(c) & 0xc0U) == 0x80;
}

/// Length of the valid UTF-8 sequence that `text` begins with (a byte of 0x80 or above), 0 if there
/// is none. RFC 3629 §4.
std::size_t utf8_length(std::string_view text) {
    const auto first = static_cast<unsigned char>(text[0]);
    std::size_t length = 0;
    unsigned char low = 0x80;  // of the second byte
    unsigned char high = 0xbf;
    if (first >= 0xc2 && first <= 0xdf) {
        length = 2;
    } else if (first >= 0xe0 && first <= 0xef) {
        length = 3;
        low = first == 0xe0 ? 0xa0 : low;
        high = first == 0xed ? 0x9f : high;
    } else if (first >= 0xf0 && first <= 0xf4) {
        length = 4;
        low = first == 0xf0 ? 0x90 : low;
        high = first == 0xf4 ? 0x8f : high;
    }
    if (length == 0 || text.size() < length) {
        return 0;
    }
    const auto second = static_cast<unsigned char>(text[1]);
    if (second < low || second > high ||
        !std::ranges::all_of(text.substr(2, length - 2), is_continuation)) {
        return 0;
    }
    return length;
}

char* put(char* out, std::string_view text) {
    std::memcpy(out, text.data(), text.size());
    return out + text.size();
}

char* escape_ascii(char* out, unsigned char c) {
    constexpr std::string_view kHex = "0123456789abcdef";
    switch (c) {
        case '"':
            return put(out, "\\\"");
        case '\\':
            return put(out, "\\\\");
        case '\n':
            return put(out, "\\n");
        case '\r':
            return put(out, "\\r");
        case '\t':
            return put(out, "\\t");
        default:
            out = put(out, "\\u00");
            *out++ = kHex[c >> 4U];
            *out++ = kHex[c & 0xfU];
            return out;
    }
}

}  // namespace

char* escape_json(char* out, std::string_view text) {
    while (!text.empty()) {
        std::uint64_t word = 0;
        if (text.size() >= sizeof word) {
            std::memcpy(&word, text.data(), sizeof word);
            if (all_plain(word)) {
                std::memcpy(out, &word, sizeof word);
                out += sizeof word;
                text.remove_prefix(sizeof word);
                continue;
            }
        }
        const auto c = static_cast<unsigned char>(text[0]);
        std::size_t used = 1;
        if (is_plain(c)) {
            *out++ = text[0];
        } else if (c < 0x80) {
            out = escape_ascii(out, c);
        } else if (const auto length = utf8_length(text); length != 0) {
            out = put(out, text.substr(0, length));
            used = length;
        } else {
            out = put(out, "\xef\xbf\xbd");
        }
        text.remove_prefix(used);
    }
    return out;
}

void append_json_string(std::string& out, std::string_view text) {
    const auto before = out.size();
    out.resize_and_overwrite(before + 2 + (text.size() * kEscapeFactor),
                             [&](char* buffer, std::size_t) {
                                 char* end = buffer + before;
                                 *end++ = '"';
                                 end = escape_json(end, text);
                                 *end++ = '"';
                                 return static_cast<std::size_t>(end - buffer);
                             });
}

bool needs_quotes(std::string_view text) {
    return text.empty() || !std::ranges::all_of(text, [](char c) {
               return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '=';
           });
}

void append_text_value(std::string& out, std::string_view text) {
    if (needs_quotes(text)) {
        append_json_string(out, text);
    } else {
        out += text;
    }
}

}  // namespace rproxy::log
