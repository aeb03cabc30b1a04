#include "config/text_rules.h"

#include "base/endpoint.h"
#include "base/ip_address.h"
#include "base/strings.h"

#include <algorithm>
#include <string_view>

namespace rproxy::config {

namespace {

bool is_alnum(char c) {
    const char lower = ascii_lower(c);
    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9');
}

bool is_object_name(std::string_view text) {
    constexpr std::string_view kOther = "_.-";
    return text.size() <= 128 && is_alnum(text.front()) &&
           std::ranges::all_of(text,
                               [kOther](char c) { return is_alnum(c) || kOther.contains(c); });
}

bool is_visible_ascii(char c) {
    return c > ' ' && c < 0x7f;
}

bool is_backend_name(std::string_view text) {
    return text.size() <= 253 && std::ranges::all_of(text, is_visible_ascii);
}

bool is_token(std::string_view text) {
    constexpr std::string_view kOther = "!#$%&'*+-.^_`|~";
    return text.size() <= 128 && std::ranges::all_of(text, [kOther](char c) {
               return is_alnum(c) || kOther.contains(c);
           });
}

bool is_host(std::string_view text) {
    const bool numeric = text.find_first_not_of("0123456789.") == std::string_view::npos;
    return IpAddress::parse(text).has_value() || (!numeric && is_dns_name(text));
}

bool is_host_header(std::string_view text) {
    return Endpoint::parse(text).has_value() ? !text.starts_with("unix:") : is_host(text);
}

bool is_url_path(std::string_view text) {
    return text.starts_with('/') && text.size() <= 2048 && !text.contains('#') &&
           std::ranges::all_of(text, is_visible_ascii);
}

bool is_url_prefix(std::string_view text) {
    return is_url_path(text) && !text.contains('?');
}

bool is_cipher_name(std::string_view text) {
    return text.size() <= 64 &&
           std::ranges::all_of(text, [](char c) { return is_alnum(c) || c == '-' || c == '_'; });
}

bool is_file_path(std::string_view text) {
    return text.size() <= 4096;
}

}  // namespace

TextRule file_path() {
    return {.name = "a file path", .pattern = "", .valid = is_file_path};
}

TextRule object_name() {
    return {.name = "a name of letters, digits, '.', '-' and '_'",
            .pattern = "^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$",
            .valid = is_object_name};
}

TextRule backend_name() {
    return {.name = "a name without white space",
            .pattern = "^[!-~]{1,253}$",
            .valid = is_backend_name};
}

TextRule http_token() {
    return {.name = "an HTTP token such as GET",
            .pattern = "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$",
            .valid = is_token};
}

TextRule cipher_name() {
    return {.name = "the name of one cipher suite",
            .pattern = "^[A-Za-z0-9_-]{1,64}$",
            .valid = is_cipher_name};
}

TextRule host_header() {
    return {.name = "a host name or IP address, with or without a port",
            .pattern = "",
            .valid = is_host_header};
}

TextRule host_name() {
    return {.name = "a host name or IP address without a port",
            .pattern = R"(^([A-Za-z0-9_.-]+|[0-9a-fA-F:.]+)$)",
            .valid = is_host};
}

TextRule url_path() {
    return {
        .name = "a path that begins with '/'", .pattern = "^/[!-\"$-~]*$", .valid = is_url_path};
}

TextRule url_prefix() {
    return {.name = "a path that begins with '/', without a query",
            .pattern = "^/[!-\"$->@-~]*$",
            .valid = is_url_prefix};
}

}  // namespace rproxy::config
