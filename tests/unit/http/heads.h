#pragma once

#include "http/head.h"

#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <utility>
#include <vector>

namespace rproxy::http {

/// Name and value pairs as a parser would give them.
inline std::vector<Field> fields_of(
    std::initializer_list<std::pair<std::string_view, std::string_view>> pairs) {
    std::vector<Field> fields;
    for (const auto& [name, value] : pairs) {
        fields.push_back({name, value, classify(name)});
    }
    return fields;
}

inline RequestHead request(std::string_view method, std::string_view target,
                           std::vector<Field> fields, Version version = Version::Http11) {
    return {method, parse_method(method), target, version, std::move(fields)};
}

inline ResponseHead response(std::uint16_t status, std::string_view reason,
                             std::vector<Field> fields, Version version = Version::Http11) {
    return {status, reason, version, std::move(fields)};
}

}  // namespace rproxy::http
