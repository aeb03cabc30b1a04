#pragma once

#include "http/head.h"

#include <expected>
#include <string>
#include <string_view>

namespace rproxy::http {

/// What a request is for, taken from its target and Host (RFC 9112 §3.2 and §3.3).
struct Target {
    std::string_view host;  ///< As sent, with port; empty for an HTTP/1.0 request without Host.
    std::string_view path;  ///< As sent, without the query; `*` for the asterisk form.
    std::string_view origin_form;  ///< What the backend is sent: path and query, or `*`.
};

/// Why a target is refused; for the log line and the answer's text.
enum class TargetError : std::uint8_t {
    NotVisibleAscii,
    Fragment,  ///< `#` never belongs in a request target.
    BadForm,   ///< None of origin, absolute (http, https) and asterisk form (OPTIONS only).
    Connect,   ///< CONNECT: this is a reverse proxy.
    MissingHost,
    DuplicateHost,
    InvalidHost,
    ContradictingHost,  ///< Host differs from the absolute form's authority.
};
std::string_view to_string(TargetError error);

/// Facts in, verdict out. Views into `head`.
std::expected<Target, TargetError> parse_target(const RequestHead& head);

/// Whether routing must look at `normalized_path` instead of the path as sent.
bool needs_normalizing(std::string_view path);
/// The path that routing sees: dot segments removed (RFC 3986 §5.2.4), unreserved characters and
/// dots decoded first, so that `/public/%2e%2e/admin` is routed as `/admin`. `%2F` stays encoded.
/// The backend still gets the path as it was sent.
std::string normalized_path(std::string_view path);

}  // namespace rproxy::http
