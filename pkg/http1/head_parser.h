#pragma once

#include "http/head.h"

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>

/// HTTP/1.x heads from bytes (RFC 9112 §2 to §5), strictly: what two parsers could read differently
/// is an error. Beast's basic_parser does the reading into our own sink, so that no message is
/// built and nothing is copied (docs/adr/0003); the checks it leaves out are made here.
namespace rproxy::http1 {

struct HeadLimits {
    std::size_t header_bytes{64U << 10U};  ///< Of the whole head.
    std::uint32_t header_count{128};       ///< Field lines.
    std::size_t request_line{16U << 10U};  ///< Of the first line.
};

/// BadFraming: Content-Length or Transfer-Encoding that Beast refuses before http::request_framing
/// can.
enum class HeadError : std::uint8_t {
    BadSyntax,
    BadVersion,
    BadFraming,
    LineTooLong,
    TooLarge,
    TooManyFields
};

/// Where the search for the end of a head stands, so that a head that arrives in pieces is not
/// searched again from its start. Reset for each head.
struct HeadScan {
    std::size_t next{0};        ///< First byte not looked at.
    std::size_t line_start{0};  ///< Of the line that `next` is in.
};

/// Length of the head at the start of `bytes`, its empty line included; nothing if more must come.
/// A bare LF is refused as soon as it is seen, as are heads over the limits.
std::expected<std::optional<std::size_t>, HeadError> find_head_end(std::string_view bytes,
                                                                   const HeadLimits& limits,
                                                                   HeadScan& scan);

/// How many bytes of empty lines before a request line to skip (RFC 9112 §2.2).
std::size_t leading_empty_lines(std::string_view bytes);

/// Parses one whole head (as found by find_head_end). On success `head` holds views into `bytes`;
/// on failure it holds nothing of use.
std::expected<void, HeadError> parse_request_head(std::string_view bytes, const HeadLimits& limits,
                                                  http::RequestHead& head);
std::expected<void, HeadError> parse_response_head(std::string_view bytes, const HeadLimits& limits,
                                                   http::ResponseHead& head);

}  // namespace rproxy::http1
