#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace rproxy::log {

/// The most bytes that one byte of text becomes when escaped (`\u001f`).
inline constexpr std::size_t kEscapeFactor = 6;

/// Writes `text` as the inside of a JSON string (RFC 8259 §7) and returns the end. Whatever is not
/// valid UTF-8 (RFC 3629: overlong forms and surrogates included) becomes U+FFFD, one for each bad
/// byte, so that a peer's bytes can neither break a line nor make it invalid JSON. `out` needs room
/// for kEscapeFactor bytes for each byte of text.
char* escape_json(char* out, std::string_view text);

/// Appends `text` as a JSON string, quotes included.
void append_json_string(std::string& out, std::string_view text);

/// Appends `text` as it is when that is unambiguous in `key=value` text (printable ASCII without
/// space, quote, backslash or `=`), else as a JSON string.
void append_text_value(std::string& out, std::string_view text);

/// Whether append_text_value() would quote.
bool needs_quotes(std::string_view text);

}  // namespace rproxy::log
