#include "control/rollout.h"

#include "config/diff.h"

#include <algorithm>
#include <utility>

namespace rproxy::control {

Rollout::Rollout(Candidate candidate, MonotonicTime now, WallTime began)
    : candidate_(std::move(candidate)), stage_began_(now), began_(began) {}

RolloutVerdict Rollout::step(MonotonicTime now, const Observation& seen) {
    RolloutFacts facts;
    facts.stage = stage_;
    facts.in_stage = std::chrono::duration_cast<Duration>(now - stage_began_);
    facts.checked = seen.checked;
    facts.dead_pools = seen.dead_pools;
    facts.stable = seen.stable;
    facts.candidate = seen.candidate;
    auto verdict = judge(facts, settings());
    if (verdict.next == RolloutVerdict::Next::BeginTraffic) {
        stage_ = RolloutStage::Comparing;
        stage_began_ = now;
    }
    return verdict;
}

RolloutStatus Rollout::status(MonotonicTime now, SideCounts stable, SideCounts candidate) const {
    const bool comparing = stage_ == RolloutStage::Comparing;
    const auto passed = std::chrono::duration_cast<Duration>(now - stage_began_);
    return {candidate_,
            stage_,
            began_,
            comparing ? settings().canary.fraction : 0,
            comparing ? std::max(settings().duration - passed, Duration{0}) : settings().duration,
            stable,
            candidate};
}

bool can_be_split(const config::Snapshot& before, const config::Snapshot& after) {
    return before.pools != after.pools || before.routes != after.routes;
}

std::vector<std::string> applied_at_once(const config::Snapshot& before,
                                         const config::Snapshot& after) {
    config::Snapshot between = after;
    between.pools = before.pools;
    between.routes = before.routes;
    between.rollout = before.rollout;  // it is what is being done, and nothing to apply
    for (const auto& listener : before.listeners) {
        const auto kept =
            std::ranges::find(after.listeners, listener.address, &config::Listener::address);
        if (kept == after.listeners.end()) {
            between.listeners.push_back(listener);  // open until the promotion
        }
    }
    return config::plan(before, between);
}

}  // namespace rproxy::control
