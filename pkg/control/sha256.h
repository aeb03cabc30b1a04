#pragma once

#include <string>
#include <string_view>

namespace rproxy::control {

/// 64 lower-case hex digits, as `sha256sum` prints them.
std::string sha256_hex(std::string_view bytes);

}  // namespace rproxy::control
