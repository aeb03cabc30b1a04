// A change that first takes a share of the requests: Rollout says what to do, this does it.
#include "control/controller.h"
#include "control/rollout_policy.h"
#include "log/log.h"

#include <algorithm>

namespace rproxy::control {

namespace {

/// Often enough that a bad configuration is gone within a moment of its fifth failure.
constexpr std::chrono::milliseconds kJudgeInterval{100};

constexpr std::string_view kNothingToCompareWith =
    "no pool of the running configuration has a healthy backend to compare with";

SideCounts sum(const proxy::RolloutCells& cells, proxy::RolloutSide side) {
    SideCounts counts;
    for (std::size_t worker = 0; worker < cells.workers(); ++worker) {
        const auto& part = cells.cells(worker, side);
        // Before what may become of them: a request that is answered meanwhile must not be missing.
        counts.begun += part.begun.value();
        counts.requests += part.requests.value();
        counts.failures += part.failures.value();
        for (std::size_t i = 0; i < counts.latencies.size(); ++i) {
            counts.latencies[i] += part.answer_time.bucket(i).value();
        }
    }
    return counts;
}

void add(SideTotals& total, const proxy::RolloutCells& cells, proxy::RolloutSide side) {
    const auto counts = sum(cells, side);
    total.requests += counts.requests;
    total.failures += counts.failures;
    for (std::size_t worker = 0; worker < cells.workers(); ++worker) {
        total.answer_time.add(cells.cells(worker, side).answer_time);
    }
}

}  // namespace

/// A start is a change, too, if another configuration was in force before: that one runs while the
/// file is tried out. Else a file that is wrong would be harmless until the next restart.
void Controller::start_on_last_known_good(const config::Snapshot& snapshot,
                                          const std::string& sha256) {
    if (!snapshot.rollout || !last_known_good_) {
        return;
    }
    if (const auto kept = last_known_good_->load(); kept && (!*kept || (*kept)->sha256 == sha256)) {
        return;  // the first start, or one as any other
    }
    use_last_known_good("the file is another one and is tried out beside it");
    if (generation_ == 0) {
        log::warn("rollout skipped", "reason", "there is no configuration to compare with");
    }
}

bool Controller::any_alive() const {
    const auto& pools = publisher_.plan()->pools;
    for (std::size_t i = 0; i < pools.size(); ++i) {
        if (!pools[i].backends.empty() && !publisher_.policy(i)->all_down) {
            return true;
        }
    }
    return false;
}

/// Whether `snapshot` is to be tried out first. Nothing is where nothing can be lost: without a
/// configuration, or while all that runs is down.
bool Controller::wants_rollout(const config::Snapshot& snapshot, Source source) const {
    if (!snapshot.rollout || source != Source::File || generation_ == 0) {
        return false;
    }
    if (!can_be_split(*snapshot_, snapshot)) {
        log::info("rollout not needed", "reason", "the change cannot be split and applies at once");
        return false;
    }
    if (!publisher_.first_checks_done()) {
        return true;  // after a start; looked at again before it takes requests
    }
    if (!any_alive()) {
        log::warn("rollout skipped", "reason", kNothingToCompareWith);
        return false;
    }
    return true;
}

bool Controller::begin_rollout(Candidate candidate) {
    const auto replaced = publisher_.trial_cells();
    const auto published = publisher_.try_out(candidate.snapshot, generation_ + 1);
    if (!published) {
        reject(published.error(), candidate.text);
        await_listeners(candidate.snapshot, candidate.text, candidate.sha256, Source::File);
        return false;
    }
    if (replaced) {
        count_rollout(RolloutResult::Replaced, *replaced);
    }
    rollout_.emplace(std::move(candidate), loop_.now(), loop_.wall_now());
    const auto& begun = rollout_->candidate();
    publishing_since_.reset();  // it is not in force yet
    watch_certificates();
    if (options_.on_settings) {
        options_.on_settings(*begun.snapshot);
    }
    log::info("rollout begins", "sha256", begun.sha256.substr(0, 12), "share",
              rollout_->settings().canary.fraction, "for_ms", rollout_->settings().duration.count(),
              "changes", begun.changes.size());
    for (const auto& change : begun.changes) {
        log::info("configuration on trial", "sha256", begun.sha256.substr(0, 12), "change", change);
    }
    for (const auto& change : begun.applied_at_once) {
        log::info("cannot be split, applied at once", "sha256", begun.sha256.substr(0, 12),
                  "change", change);
    }
    std::string message = "rollout begins: " + (begun.changes.empty() ? std::string("no change")
                                                                      : begun.changes.front());
    if (!begun.applied_at_once.empty()) {
        message += "; applied at once: " + begun.applied_at_once.front();
    }
    note({.kind = Event::Kind::Config,
          .generation = generation_,
          .result = "canary",
          .message = std::move(message)});
    loop_.arm(rollout_timer_, loop_.now() + kJudgeInterval);
    return true;
}

void Controller::on_rollout_timer() {
    if (!rollout_) {
        return;
    }
    const auto cells = publisher_.trial_cells();
    const auto verdict =
        rollout_->step(loop_.now(), {publisher_.trial_checked(), publisher_.trial_dead_pools(),
                                     sum(*cells, proxy::RolloutSide::Stable),
                                     sum(*cells, proxy::RolloutSide::Candidate)});
    switch (verdict.next) {
        case RolloutVerdict::Next::Wait:
            break;
        case RolloutVerdict::Next::BeginTraffic: {
            if (!any_alive()) {
                promote(std::string(kNothingToCompareWith));
                return;
            }
            const double share = rollout_->settings().canary.fraction;
            publisher_.set_trial_share(share);
            log::info("rollout takes requests", "share", share, "reason", verdict.evidence);
            break;
        }
        case RolloutVerdict::Next::Promote:
            promote(verdict.evidence);
            return;
        case RolloutVerdict::Next::RollBack:
            roll_back(verdict.evidence);
            return;
    }
    loop_.arm(rollout_timer_, loop_.now() + kJudgeInterval);
}

void Controller::promote(const std::string& evidence) {
    const auto cells = publisher_.trial_cells();
    const Candidate candidate = rollout_->candidate();
    const auto published = publisher_.publish(candidate.snapshot, generation_ + 1);
    if (!published) {
        cannot_promote(published.error());
        return;
    }
    rollout_.reset();
    count_rollout(RolloutResult::Promoted, *cells);
    log::info("rollout promoted", "sha256", candidate.sha256.substr(0, 12), "evidence", evidence);
    note({.kind = Event::Kind::Config,
          .generation = generation_ + 1,
          .result = "promoted",
          .message = "rollout promoted: " + evidence});
    accept(candidate.snapshot, candidate.text, candidate.sha256, Source::File);
}

/// Its listeners are open, but a file that it names (a certificate's) can have broken since it
/// began. What the next start would refuse must not be promoted. The file is rejected, as if it
/// had been read just now: it is tried again as soon as what it names is repaired.
void Controller::cannot_promote(const std::vector<config::Issue>& issues) {
    const Candidate candidate = rollout_->candidate();
    end_rolled_back("cannot be promoted: " + format_issue(issues.front()));
    if (file_ && file_->sha256 == candidate.sha256) {
        reject(issues, candidate.text);
    }
}

void Controller::roll_back(const std::string& evidence) {
    const Candidate candidate = rollout_->candidate();
    end_rolled_back(evidence);
    const RolledBack rolled_back{candidate.sha256, evidence};
    if (last_known_good_) {
        if (const auto saved = last_known_good_->save_rolled_back(rolled_back); !saved) {
            log::warn("cannot remember what was rolled back", "error", saved.error());
        }
    }
    if (file_ && file_->sha256 == candidate.sha256) {
        rolled_back_ = rolled_back;
        note_rolled_back(candidate.text);
    }  // else what is wrong with the file since stays visible
}

void Controller::end_rolled_back(const std::string& evidence) {
    count_rollout(RolloutResult::RolledBack, *publisher_.trial_cells());
    const std::string sha256 = rollout_->candidate().sha256;
    end_rollout();
    log::error("configuration rolled back", "sha256", sha256.substr(0, 12), "evidence", evidence,
               "keeping", "generation " + std::to_string(generation_));
    ++reloads_[static_cast<std::size_t>(ReloadResult::RolledBack)];
    note({.kind = Event::Kind::Config,
          .generation = generation_,
          .result = "rolled_back",
          .message = "rolled back: " + evidence});
}

/// What is wrong with the file stays to be seen until its bytes change.
void Controller::note_rolled_back(const std::string& text) {
    last_reload_ = LastReload{ReloadResult::RolledBack,
                              loop_.wall_now(),
                              {{0, 0, "rollout", "rolled back: " + rolled_back_->evidence,
                                "repair the file; SIGHUP tries the same file once more"}},
                              text};
}

/// The file is what runs again: nobody wants the trial any more.
void Controller::abandon_rollout() {
    count_rollout(RolloutResult::Abandoned, *publisher_.trial_cells());
    end_rollout();
    log::info("rollout abandoned", "reason", "the file is the running configuration again");
    note({.kind = Event::Kind::Config,
          .generation = generation_,
          .result = "unchanged",
          .message = "rollout abandoned: the file is the running configuration again"});
}

/// Back to what runs, in everything.
void Controller::end_rollout() {
    rollout_.reset();
    // Listeners that the trial would have closed were kept open, so this cannot fail.
    if (const auto published = publisher_.publish(snapshot_, generation_); !published) {
        log::error("cannot go back to the running configuration's listeners", "error",
                   published.error().front().message);
    }
    if (options_.on_settings) {
        options_.on_settings(*snapshot_);
    }
}

/// `cells` are of the rollout that ends: its counts are kept in the totals.
void Controller::count_rollout(RolloutResult result, const proxy::RolloutCells& cells) {
    ++rollouts_[static_cast<std::size_t>(result)];
    add(rollout_totals_[0], cells, proxy::RolloutSide::Stable);
    add(rollout_totals_[1], cells, proxy::RolloutSide::Candidate);
}

void Controller::add_rollout_status(Status& status) const {
    status.rollouts = rollouts_;
    status.rollout_totals = rollout_totals_;
    if (!rollout_) {
        return;
    }
    const auto cells = publisher_.trial_cells();
    status.rollout = rollout_->status(loop_.now(), sum(*cells, proxy::RolloutSide::Stable),
                                      sum(*cells, proxy::RolloutSide::Candidate));
    add(status.rollout_totals[0], *cells, proxy::RolloutSide::Stable);
    add(status.rollout_totals[1], *cells, proxy::RolloutSide::Candidate);
}

}  // namespace rproxy::control
