#pragma once

#include "base/clock.h"
#include "config/snapshot.h"
#include "control/rollout_policy.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace rproxy::control {

/// What a rollout is about.
struct Candidate {
    std::shared_ptr<const config::Snapshot> snapshot;  ///< With a `rollout`.
    std::string text;
    std::string sha256;
    std::vector<std::string> changes;          ///< In words, against what runs.
    std::vector<std::string> applied_at_once;  ///< Of them, what could not be split.
};

/// How a rollout stands, for the admin API: a copy.
struct RolloutStatus {
    Candidate candidate;
    RolloutStage stage{RolloutStage::Checking};
    WallTime began{};
    double share{0};  ///< Of the requests, now.
    Duration left{
        0};  ///< Until it is promoted if nothing speaks against it; from its first request.
    SideCounts stable;
    SideCounts candidate_counts;
};

/// The course of one rollout: its stages and when they began. Time and what was seen are arguments.
/// Control thread.
class Rollout {
public:
    Rollout(Candidate candidate, MonotonicTime now, WallTime began);

    struct Observation {
        bool checked{false};                  ///< First checks and look-ups are done.
        std::vector<std::string> dead_pools;  ///< See RolloutFacts.
        SideCounts stable;
        SideCounts candidate;
    };
    /// What to do now; BeginTraffic moves this on to comparing.
    RolloutVerdict step(MonotonicTime now, const Observation& seen);
    RolloutStatus status(MonotonicTime now, SideCounts stable, SideCounts candidate) const;

    const Candidate& candidate() const { return candidate_; }
    const config::Rollout& settings() const { return *candidate_.snapshot->rollout; }
    RolloutStage stage() const { return stage_; }

private:
    Candidate candidate_;
    RolloutStage stage_{RolloutStage::Checking};
    MonotonicTime stage_began_;
    WallTime began_;
};

/// Whether anything differs that a share of the requests can try: pools and routes. All else
/// concerns whole client connections or the process.
bool can_be_split(const config::Snapshot& before, const config::Snapshot& after);

/// What a rollout of `after` applies at once, in words.
std::vector<std::string> applied_at_once(const config::Snapshot& before,
                                         const config::Snapshot& after);

}  // namespace rproxy::control
