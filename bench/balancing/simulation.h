#pragma once

#include "balancing/policy.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <vector>

/// A discrete-event simulation, in virtual time, of proxies that balance over queueing backends.
/// The choices are made by the real policies of pkg/balancing; everything around them is a model.
/// The same seed gives the same result.
namespace rproxy::simulation {

using namespace std::chrono_literals;
using Duration = std::chrono::nanoseconds;

struct Window {
    Duration from;
    Duration to;
};

struct BackendModel {
    std::uint32_t slots{
        4};  ///< Requests served at once; the rest wait in one queue, first come first served.
    double slowness{1};  ///< Multiplies every service time.
    std::uint32_t weight{1};
    std::optional<Window> slow{};  ///< While slow, service takes `slow_factor` times as long.
    double slow_factor{10};
    std::vector<Window> down{};  ///< Refuses connections, and resets what it had.
};

struct Setup {
    balancing::Method method{balancing::Method::RoundRobin};
    std::vector<BackendModel> backends{};
    std::uint32_t proxies{3};
    double requests_per_second{0};  ///< Over all proxies; Poisson arrivals.
    Duration length{60s};
    Duration warm_up{0};                ///< Requests that arrive earlier are not reported.
    std::optional<Duration> timeout{};  ///< An answer after so long is a failure.
    /// Whether the proxy gives a request up at its timeout (the backend does not notice) or goes on
    /// waiting, and counting it, until the late answer.
    bool gives_up{true};
    std::uint32_t clients{10000};  ///< Client k's share of the requests falls with 1/sqrt(k).
    /// Draws one service time.
    std::function<Duration(Rng&)> service{};
    std::uint64_t seed{1};
};

inline constexpr std::uint32_t kUnlimitedSlots = std::numeric_limits<std::uint32_t>::max();

struct Outcome {
    std::uint64_t requests{0};
    std::uint64_t failures{0};  ///< Timed out, or refused after two retries.
    double mean_seconds{0};     ///< Of those that succeeded, as the percentiles.
    double p50{0};
    double p99{0};
    double p999{0};
    double busiest_to_mean{0};  ///< Utilisation of the busiest backend over that of the whole pool.
    std::uint32_t most_in_flight{0};  ///< At any backend at any time, queue included.
};

Outcome run(const Setup& setup);

}  // namespace rproxy::simulation
