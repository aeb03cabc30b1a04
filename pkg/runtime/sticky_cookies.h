#pragma once

#include "base/duration.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rproxy::runtime {

/// The cookie of a pool with `sticky`, computed for every slot when the plan is made, so that a
/// request only compares. Knows neither keys nor addresses: what the values are is control's to
/// decide (control/sticky_value.h). Immutable.
class StickyCookies {
public:
    /// `values` by slot, each of cookie octets (RFC 6265 §4.1.1), all different. A `ttl` of 0 means
    /// a cookie that ends with the client's session.
    StickyCookies(std::string name, Duration ttl, std::vector<std::string> values);

    const std::string& name() const { return name_; }
    /// The slot that `value` stands for; nothing if it is none of ours.
    std::optional<std::uint32_t> slot_of(std::string_view value) const;
    /// The whole Set-Cookie field value that binds a client to `slot`. `secure`: it came by TLS,
    /// and the cookie shall not travel without.
    std::string_view set_cookie(std::uint32_t slot, bool secure) const {
        const std::string_view whole = set_cookies_[slot];
        return secure ? whole : whole.substr(0, whole.size() - kSecure.size());
    }

private:
    static constexpr std::string_view kSecure = "; Secure";  // ends all of set_cookies_
    struct Entry {
        std::string value;
        std::uint32_t slot;
    };
    std::string name_;
    std::vector<Entry> entries_;            // by value
    std::vector<std::string> set_cookies_;  // by slot
};

}  // namespace rproxy::runtime
