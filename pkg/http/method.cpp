#include "http/method.h"

#include <array>

namespace rproxy::http {

namespace {
constexpr std::array<std::string_view, kMethods> kNames{
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "other"};
}

Method parse_method(std::string_view text) {
    for (std::size_t i = 0; i + 1 < kMethods; ++i) {
        if (kNames[i] == text) {
            return static_cast<Method>(i);
        }
    }
    return Method::Other;
}

std::string_view to_string(Method method) {
    return kNames[static_cast<std::size_t>(method)];
}

bool is_idempotent(Method method) {
    switch (method) {
        case Method::Get:
        case Method::Head:
        case Method::Put:
        case Method::Delete:
        case Method::Options:
        case Method::Trace:
            return true;
        case Method::Post:
        case Method::Connect:
        case Method::Patch:
        case Method::Other:
            return false;
    }
    return false;
}

}  // namespace rproxy::http
