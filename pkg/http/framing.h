#pragma once

#include "http/head.h"

#include <cstdint>
#include <expected>
#include <span>
#include <string_view>

namespace rproxy::http {

/// How a message's body is delimited (RFC 9112 §6.3).
struct BodyFraming {
    enum class Kind : std::uint8_t { None, Length, Chunked, UntilClose };
    Kind kind{Kind::None};
    std::uint64_t length{0};  ///< For Length.
};

/// Why the framing of a message is refused: anything two parsers could read differently.
enum class FramingError : std::uint8_t {
    LengthAndTransferEncoding,
    SeveralLengths,
    BadLength,
    BadTransferEncoding,  ///< Anything but one final `chunked`.
    TransferEncodingInHttp10,
};
std::string_view to_string(FramingError error);

/// Of a request. Never UntilClose.
std::expected<BodyFraming, FramingError> request_framing(const RequestHead& head);
/// Of the response to a request with `request_method`; 1xx, 204, 304 and answers to HEAD have none.
/// The Content-Length of a body-less response is still checked.
std::expected<BodyFraming, FramingError> response_framing(const ResponseHead& head,
                                                          Method request_method);

/// Whether the connection stays open after this message as far as its head tells (RFC 9112 §9.3).
bool keeps_alive(Version version, std::span<const Field> fields);
/// Whether a request asks to change protocols: `Connection: upgrade` with `Upgrade` on HTTP/1.1
/// (RFC 9110 §7.8). Not to h2c, which is obsolete (RFC 9113 §3.1): a backend that took it would
/// serve requests through the tunnel that nobody routed or checked.
bool wants_upgrade(const RequestHead& head);

}  // namespace rproxy::http
