#include "config/shape.h"

#include <algorithm>

namespace rproxy::config {

const Shape* Shape::find(std::string_view key_name) const {
    const auto found =
        std::ranges::find_if(parts, [&](const Shape& part) { return part.key.name == key_name; });
    return found == parts.end() ? nullptr : &*found;
}

}  // namespace rproxy::config
