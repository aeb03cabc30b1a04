#pragma once

#include <array>
#include <chrono>

/// Upper bounds of the histograms' buckets, inclusive.
namespace rproxy::metrics {

using namespace std::chrono_literals;

/// Requests, responses and connects: the span from a cache hit to a forgotten report.
inline constexpr auto kLatencyBounds = std::to_array<std::chrono::nanoseconds>(
    {1ms, 2500us, 5ms, 10ms, 25ms, 50ms, 100ms, 250ms, 500ms, 1s, 2500ms, 5s, 10s});

/// Few, because every backend has them.
inline constexpr auto kHealthCheckBounds =
    std::to_array<std::chrono::nanoseconds>({5ms, 25ms, 100ms, 500ms, 2s});

/// An event loop that turns in under a millisecond is healthy; above 100 ms clients notice.
inline constexpr auto kLoopLagBounds = std::to_array<std::chrono::nanoseconds>(
    {100us, 250us, 500us, 1ms, 2500us, 5ms, 10ms, 25ms, 50ms, 100ms, 250ms, 1s});

}  // namespace rproxy::metrics
