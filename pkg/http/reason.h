#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace rproxy::http {

/// Why rproxy answered by itself: in `X-Rproxy-Reason`, the access log and metrics (product
/// contract §4). None: the answer is a backend's.
enum class Reason : std::uint8_t {
    None,
    BadRequest,
    NoRoute,
    ClientTimeout,
    BodyTooLarge,
    UriTooLong,
    HeadersTooLarge,
    BackendConnectFailed,
    BackendReset,
    BackendBadResponse,
    NoHealthyBackend,
    NoBackends,
    NoConfig,
    QueueFull,
    ConnectionLimit,
    Draining,
    BackendTimeout,
    HttpsRedirect,  ///< The listener's https_redirect; its status is the configuration's.
    ClientClosed,   ///< The client left before it had its answer; nobody reads an answer then.
};
constexpr std::size_t kReasons = 19;

struct ReasonInfo {
    std::uint16_t status;
    std::string_view code;  ///< e.g. `no_route`
    std::string_view text;  ///< One sentence for the person who reads the answer.
};
const ReasonInfo& info(Reason reason);
/// The reason phrase of RFC 9110 §15 for the statuses that rproxy sends itself.
std::string_view status_phrase(std::uint16_t status);

}  // namespace rproxy::http
