#pragma once

#include "backends/backend.h"

#include <string>

namespace rproxy::control {

/// What cookie `cookie` says for `backend`: 22 characters of base64url. The same in every replica
/// and after every restart, since it depends on nothing but its arguments; different for another
/// pool or cookie name. It does not show the address, but is no secret either: who knows the names
/// can test an address against it (docs/adr/0008).
std::string sticky_value(const backends::BackendKey& backend, const std::string& cookie);

}  // namespace rproxy::control
