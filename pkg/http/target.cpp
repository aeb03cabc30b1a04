#include "http/target.h"

#include "base/strings.h"
#include "http/syntax.h"

#include <array>

namespace rproxy::http {

std::string_view to_string(TargetError error) {
    constexpr std::array<std::string_view, 8> kTexts{
        "the request target has characters other than visible ASCII",
        "the request target has a fragment",
        "the request target is neither a path nor an http URI",
        "CONNECT is not served by a reverse proxy",
        "the Host field is missing",
        "there is more than one Host field",
        "the Host field is not a host with an optional port",
        "the Host field contradicts the request target"};
    return kTexts[static_cast<std::size_t>(error)];
}

namespace {

/// The one Host value; empty if it is missing where HTTP/1.0 allows that.
std::expected<std::string_view, TargetError> host_field(const RequestHead& head) {
    const Field* host = nullptr;
    for (const Field& field : head.fields) {
        if (field.id == FieldId::Host) {
            if (host != nullptr) {
                return std::unexpected{TargetError::DuplicateHost};
            }
            host = &field;
        }
    }
    if (host == nullptr) {
        if (head.version == Version::Http11) {
            return std::unexpected{TargetError::MissingHost};
        }
        return std::string_view{};
    }
    if (!is_valid_host(host->value)) {
        return std::unexpected{TargetError::InvalidHost};
    }
    return host->value;
}

/// The authority of an absolute-form target and what follows it; empty if it is no http URI.
std::pair<std::string_view, std::string_view> split_absolute(std::string_view target) {
    for (const std::string_view scheme : {"http://", "https://"}) {
        if (target.size() > scheme.size() &&
            equals_ignoring_case(target.substr(0, scheme.size()), scheme)) {
            const auto rest = target.substr(scheme.size());
            const auto end = std::min(rest.find_first_of("/?"), rest.size());
            return {rest.substr(0, end), rest.substr(end)};
        }
    }
    return {};
}

}  // namespace

std::expected<Target, TargetError> parse_target(const RequestHead& head) {
    if (head.method == Method::Connect) {
        return std::unexpected{TargetError::Connect};
    }
    if (!is_visible_ascii(head.target)) {
        return std::unexpected{TargetError::NotVisibleAscii};
    }
    if (head.target.find('#') != std::string_view::npos) {
        return std::unexpected{TargetError::Fragment};
    }
    const auto host = host_field(head);
    if (!host) {
        return std::unexpected{host.error()};
    }
    Target target{*host, {}, head.target};
    if (head.target == "*") {
        if (head.method != Method::Options) {
            return std::unexpected{TargetError::BadForm};
        }
        target.path = head.target;
        return target;
    }
    if (!head.target.starts_with('/')) {
        const auto [authority, rest] = split_absolute(head.target);
        if (authority.empty()) {
            return std::unexpected{TargetError::BadForm};
        }
        if (!is_valid_host(authority)) {
            return std::unexpected{TargetError::InvalidHost};
        }
        // RFC 9112 §3.2.2 lets a proxy ignore Host here; a Host that says something else is a sign
        // of an attack on whoever looks at only one of the two.
        if (!host->empty() && !equals_ignoring_case(*host, authority)) {
            return std::unexpected{TargetError::ContradictingHost};
        }
        target.host = authority;
        target.origin_form = rest;
    }
    target.path = target.origin_form.substr(0, target.origin_form.find('?'));
    if (target.path.empty()) {
        target.path = "/";
    }
    return target;
}

bool needs_normalizing(std::string_view path) {
    return path.find("/.") != std::string_view::npos || path.find('%') != std::string_view::npos;
}

namespace {

int hex_value(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    const char lower = ascii_lower(c);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

std::string decode_unreserved(std::string_view path) {
    std::string decoded;
    decoded.reserve(path.size());
    for (std::size_t i = 0; i < path.size(); ++i) {
        if (path[i] == '%' && i + 2 < path.size()) {
            const int value = hex_value(path[i + 1]) * 16 + hex_value(path[i + 2]);
            const bool both = hex_value(path[i + 1]) >= 0 && hex_value(path[i + 2]) >= 0;
            const char c = static_cast<char>(value);
            const bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                                    (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
                                    c == '~';
            if (both && value < 128 && unreserved) {
                decoded += c;
                i += 2;
                continue;
            }
        }
        decoded += path[i];
    }
    return decoded;
}

}  // namespace

std::string normalized_path(std::string_view path) {
    const std::string decoded = decode_unreserved(path);
    std::string result;
    std::size_t at = 0;
    while (at < decoded.size()) {
        // Each round takes one "/segment".
        const auto next = std::min(decoded.find('/', at + 1), decoded.size());
        const std::string_view segment(decoded.data() + at, next - at);
        const bool last = next == decoded.size();
        if (segment == "/.") {
            result += last ? "/" : "";
        } else if (segment == "/..") {
            const auto slash = result.rfind('/');
            result.erase(slash == std::string::npos ? 0 : slash);
            result += last ? "/" : "";
        } else {
            result += segment;
        }
        at = next;
    }
    return result.empty() ? "/" : result;
}

}  // namespace rproxy::http
