#include "control/history.h"

#include <array>

namespace rproxy::control {

std::string_view to_string(Source source) {
    constexpr std::array<std::string_view, 3> kNames{"none", "file", "last_known_good"};
    return kNames[static_cast<std::size_t>(source)];
}

std::string_view to_string(ReloadResult result) {
    constexpr std::array<std::string_view, 4> kNames{"applied", "unchanged", "rejected",
                                                     "rolled_back"};
    return kNames[static_cast<std::size_t>(result)];
}

std::string_view to_string(Event::Kind kind) {
    constexpr std::array<std::string_view, 4> kNames{"backend_state", "config", "process", "pool"};
    return kNames[static_cast<std::size_t>(kind)];
}

}  // namespace rproxy::control
