#pragma once

#include "base/clock.h"
#include "config/snapshot.h"
#include "metrics/bounds.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

/// Whether a configuration on trial is better, worse or no different than the one it would replace.
/// Pure: facts in, verdict out. Why these rules: docs/adr/0009.
namespace rproxy::control {

/// What one side of a rollout has seen while they were compared, over all workers.
struct SideCounts {
    std::uint64_t begun{0};     ///< Requests, whatever became of them.
    std::uint64_t requests{0};  ///< Ended, whatever became of them; not those that clients gave up.
    /// Of them: answered with 5xx, cut off, or answered by rproxy itself for a reason that is not
    /// the client's (so a route that is missing counts, too).
    std::uint64_t failures{0};
    /// From the first byte of the request to the head of its answer; per bucket of kLatencyBounds.
    std::array<std::uint64_t, metrics::kLatencyBounds.size() + 1> latencies{};

    double failure_ratio() const {
        return requests == 0 ? 0 : static_cast<double>(failures) / static_cast<double>(requests);
    }
    std::uint64_t measured() const;  ///< Requests with an answer.
    /// Begun, and without an answer: it is still awaited, or its client has given up.
    std::uint64_t unanswered() const { return begun - std::min(begun, measured()); }
    /// The latency that `quantile` of the answers stayed within, interpolated; nothing without any.
    std::optional<std::chrono::nanoseconds> latency(double quantile) const;
    struct Bounds {
        std::chrono::nanoseconds above;
        std::chrono::nanoseconds at_most;
    };
    static constexpr std::chrono::hours kNoBound{24};  ///< Longer than anybody waits.
    /// Between which bounds that latency certainly is; nothing without any.
    std::optional<Bounds> latency_bounds(double quantile) const;
    friend bool operator==(const SideCounts&, const SideCounts&) = default;
};

enum class RolloutStage : std::uint8_t {
    Checking,   ///< The candidate's new backends are being probed; it has no traffic yet.
    Comparing,  ///< It takes its share.
};
std::string_view to_string(RolloutStage stage);

struct RolloutFacts {
    RolloutStage stage{RolloutStage::Checking};
    Duration in_stage{0};  ///< Since the stage began.
    /// Every backend of the candidate was probed once and every name of it looked up once.
    bool checked{false};
    /// Pools that have no healthy backend under the candidate, but have (or do not exist) under the
    /// configuration that runs.
    std::vector<std::string> dead_pools;
    SideCounts stable;
    SideCounts candidate;
};

struct RolloutVerdict {
    enum class Next : std::uint8_t { Wait, BeginTraffic, Promote, RollBack };
    Next next{Next::Wait};
    std::string evidence;  ///< In words, with the numbers; empty for Wait.
    friend bool operator==(const RolloutVerdict&, const RolloutVerdict&) = default;
};

/// The longest that first checks may hold up a rollout: a candidate is then judged by those done.
inline constexpr Duration kLongestChecking{10'000};

RolloutVerdict judge(const RolloutFacts& facts, const config::Rollout& settings);

/// `12 of 340 requests failed (3.5%), 3 without an answer, p90 12ms`.
std::string describe(const SideCounts& side);

}  // namespace rproxy::control
