#include "http/reason.h"

#include <array>

namespace rproxy::http {

const ReasonInfo& info(Reason reason) {
    static constexpr std::array<ReasonInfo, kReasons> kInfos{{
        {0, "", ""},
        {400, "bad_request", "The request is not valid HTTP/1.1."},
        {404, "no_route", "No route of the configuration matches this host and path."},
        {408, "client_timeout", "The request did not arrive in time."},
        {413, "body_too_large", "The request body is larger than limits.body_bytes allows."},
        {414, "uri_too_long", "The request line is longer than limits.request_line allows."},
        {431, "headers_too_large",
         "The header section is larger than limits.header_bytes or limits.header_count allows."},
        {502, "backend_connect_failed", "The backend could not be reached."},
        {502, "backend_reset", "The backend closed the connection before it answered."},
        {502, "backend_bad_response", "The backend's answer is not valid HTTP/1.1."},
        {503, "no_healthy_backend", "No backend of the pool is healthy."},
        {503, "no_backends", "The pool has no backends."},
        {503, "no_config", "No valid configuration has been loaded yet."},
        {503, "queue_full", "Every backend is at max_connections and the queue is full."},
        {503, "connection_limit", "Too many client connections: limits.connections."},
        {503, "draining", "This instance is shutting down."},
        {504, "backend_timeout", "The backend did not answer in time."},
        {308, "https_redirect", "This address is served with https only."},
        {499, "client_closed", "The client closed the connection."},
    }};
    return kInfos[static_cast<std::size_t>(reason)];
}

std::string_view status_phrase(std::uint16_t status) {
    switch (status) {
        case 301:
            return "Moved Permanently";
        case 302:
            return "Found";
        case 307:
            return "Temporary Redirect";
        case 308:
            return "Permanent Redirect";
        case 400:
            return "Bad Request";
        case 404:
            return "Not Found";
        case 408:
            return "Request Timeout";
        case 413:
            return "Content Too Large";
        case 414:
            return "URI Too Long";
        case 431:
            return "Request Header Fields Too Large";
        case 502:
            return "Bad Gateway";
        case 503:
            return "Service Unavailable";
        case 504:
            return "Gateway Timeout";
        default:
            return "Error";
    }
}

}  // namespace rproxy::http
