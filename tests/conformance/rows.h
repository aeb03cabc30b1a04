#pragma once

#include "support/fake_backend.h"
#include "support/proxy_under_test.h"

#include <string>
#include <string_view>

namespace rproxy::test {

/// A proxy in front of one backend whose checks do not get in the way.
inline std::string in_front_of(const FakeBackend& backend) {
    return "backends: [\"" + backend.address() + "\"]\nhealth_check: {interval: 1h, fall: 100}\n";
}

}  // namespace rproxy::test
