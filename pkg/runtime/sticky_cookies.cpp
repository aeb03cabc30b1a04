#include "runtime/sticky_cookies.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace rproxy::runtime {

StickyCookies::StickyCookies(std::string name, Duration ttl, std::vector<std::string> values)
    : name_(std::move(name)) {
    // HttpOnly: no script needs it. Lax: a link from elsewhere finds the session, a foreign form
    // does not (RFC 6265bis §5.6.7).
    std::string attributes = "; Path=/";
    if (ttl.count() != 0) {
        // Rounded up: 0 would delete the cookie.
        attributes +=
            "; Max-Age=" + std::to_string(std::chrono::ceil<std::chrono::seconds>(ttl).count());
    }
    attributes += "; HttpOnly; SameSite=Lax";
    attributes += kSecure;
    entries_.reserve(values.size());
    set_cookies_.reserve(values.size());
    for (std::string& value : values) {
        set_cookies_.push_back(name_ + "=");
        set_cookies_.back().append(value).append(attributes);
        entries_.push_back({std::move(value), static_cast<std::uint32_t>(entries_.size())});
    }
    std::ranges::sort(entries_, {}, &Entry::value);
}

std::optional<std::uint32_t> StickyCookies::slot_of(std::string_view value) const {
    const auto found = std::ranges::lower_bound(entries_, value, {}, &Entry::value);
    return found != entries_.end() && found->value == value ? std::optional(found->slot)
                                                            : std::nullopt;
}

}  // namespace rproxy::runtime
