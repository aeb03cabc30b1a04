#pragma once

#include <cstdint>
#include <optional>

namespace rproxy::proxy {

/// Finds out whether nearly all requests of a pool hash to one key: `ip_hash` behind another load
/// balancer, which is every request's client unless `trusted_proxies` names it. Two steps for each
/// request: the candidate of Boyer and Moore's majority vote, whose votes at the end of a window
/// are at most twice its requests less all. Never a false alarm; silent only if the key's share is
/// near the limit. Worker thread only.
class KeyWatch {
public:
    static constexpr std::uint32_t kWindow = 1000;  ///< Requests.
    static constexpr double kShare = 0.9;

    /// The key, at the end of a window in which it had more than kShare of the requests.
    std::optional<std::uint64_t> add(std::uint64_t key) {
        if (key == candidate_) {
            ++votes_;
        } else if (votes_ == 0) {
            candidate_ = key;
            votes_ = 1;
        } else {
            --votes_;
        }
        if (++seen_ < kWindow) {
            return std::nullopt;
        }
        const bool nearly_all = votes_ > ((2 * kShare) - 1) * kWindow;
        seen_ = votes_ = 0;
        return nearly_all ? std::optional(candidate_) : std::nullopt;
    }

private:
    std::uint64_t candidate_{0};
    std::uint32_t votes_{0};
    std::uint32_t seen_{0};
};

}  // namespace rproxy::proxy
