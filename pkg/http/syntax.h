#pragma once

#include <string_view>

namespace rproxy::http {

/// token of RFC 9110 §5.6.2; not empty.
bool is_token(std::string_view text);
/// `uri-host [ ":" port ]` of RFC 9110 §7.2 and RFC 3986 §3.2.2, without user information. An empty
/// port (`host:`) is allowed by the grammar; an empty host is not.
bool is_valid_host(std::string_view text);
/// Visible ASCII only (what a request target may consist of before it is looked at closer).
bool is_visible_ascii(std::string_view text);
/// The host of `host[:port]` without the port, in the case it came in.
std::string_view host_without_port(std::string_view host);

}  // namespace rproxy::http
