#pragma once

#include "base/strings.h"

#include <cstdint>
#include <string_view>

namespace rproxy::http {

/// The fields that the proxy itself looks at; all others are Other and only passed on.
enum class FieldId : std::uint8_t {
    Other,
    Connection,
    ContentLength,
    Cookie,
    Expect,
    Forwarded,
    Host,
    KeepAlive,
    Location,
    ProxyAuthenticate,
    ProxyConnection,
    Server,
    Te,
    Traceparent,
    Trailer,
    TransferEncoding,
    Upgrade,
    XForwardedFor,
    XForwardedHost,
    XForwardedPort,
    XForwardedProto,
    XPoweredBy,
    XRequestId,
    XRproxyReason,
};

/// One field line, as views into the message's buffer. The value has no surrounding white space.
struct Field {
    std::string_view name;
    std::string_view value;
    FieldId id{FieldId::Other};
};

/// Case-insensitive.
FieldId classify(std::string_view name);

/// Calls `visit(element)` for each non-empty element of a comma-separated list (RFC 9110 §5.6.1);
/// stops when it returns false.
template <typename Visitor>
void for_each_element(std::string_view list, Visitor&& visit) {
    while (!list.empty()) {
        const auto comma = list.find(',');
        auto element = list.substr(0, comma);
        list = comma == std::string_view::npos ? std::string_view{} : list.substr(comma + 1);
        while (!element.empty() && (element.front() == ' ' || element.front() == '\t')) {
            element.remove_prefix(1);
        }
        while (!element.empty() && (element.back() == ' ' || element.back() == '\t')) {
            element.remove_suffix(1);
        }
        if (!element.empty() && !visit(element)) {
            return;
        }
    }
}

/// Whether `list` has `token` as an element, ignoring case.
bool list_contains(std::string_view list, std::string_view token);

/// Calls `visit(value)` for each cookie `name` of a Cookie field (RFC 6265 §4.2.1): a client sends
/// several where they were set for different paths or domains. Stops when it returns false.
template <typename Visitor>
void for_each_cookie(std::string_view cookies, std::string_view name, Visitor&& visit) {
    while (!cookies.empty()) {
        const auto semicolon = cookies.find(';');
        const auto pair = trim(cookies.substr(0, semicolon));
        cookies = semicolon == std::string_view::npos ? std::string_view{}
                                                      : cookies.substr(semicolon + 1);
        const bool named =
            pair.size() > name.size() && pair.starts_with(name) && pair[name.size()] == '=';
        if (named && !visit(pair.substr(name.size() + 1))) {
            return;
        }
    }
}

/// The first value of cookie `name` in a Cookie field; empty if it is not there.
std::string_view cookie_value(std::string_view cookies, std::string_view name);

}  // namespace rproxy::http
