#pragma once

#include <cstdint>
#include <string_view>

namespace rproxy::http {

/// The methods that metrics tell apart, as RFC 9110 §9.3 and RFC 5789 have them; Other is any other
/// token.
enum class Method : std::uint8_t {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Connect,
    Options,
    Trace,
    Patch,
    Other
};
constexpr std::size_t kMethods = 10;

/// Case-sensitive, as methods are (RFC 9110 §9.1).
Method parse_method(std::string_view text);
/// `GET` …, `other`.
std::string_view to_string(Method method);
/// May be sent twice with the effect of once (RFC 9110 §9.2.2).
bool is_idempotent(Method method);

}  // namespace rproxy::http
