// Files of certificates and keys that change while the configuration stays.
#include "config/issue.h"
#include "control/controller.h"
#include "control/sha256.h"
#include "log/log.h"

#include <algorithm>
#include <utility>

namespace rproxy::control {

/// Those of what runs, and those of what is on trial or was refused, perhaps for want of them.
void Controller::watch_certificates() {
    auto paths = snapshot_ ? tls::files_of(*snapshot_) : std::set<std::string>{};
    const bool known = std::ranges::includes(paths, considered_files_);
    paths.insert(considered_files_.begin(), considered_files_.end());
    certificates_.watch(std::move(paths), known ? publisher_.material().digest : std::string(),
                        loop_.now());
    loop_.arm(certificate_timer_, certificates_.next_wakeup());
}

void Controller::poll_certificates() {
    if (certificates_.poll(loop_.now())) {
        // What was refused may have waited for just these files.
        const bool waiting = last_reload_ && last_reload_->result == ReloadResult::Rejected &&
                             !last_reload_->text.empty() && !considered_files_.empty();
        const std::string text = waiting ? last_reload_->text : std::string();
        if (!waiting || !consider(text, sha256_hex(text), Source::File)) {
            refresh_certificates();
        }
    } else if (rejected_certificates_) {
        // The files stay, but time passes: what was not valid yet may be by now.
        refresh_certificates(Retry::Yes);
    }
    loop_.arm(certificate_timer_, certificates_.next_wakeup());
}

void Controller::refresh_certificates(Retry retry) {
    const auto refreshed = publisher_.refresh_certificates();
    if (!refreshed.issues.empty()) {
        if (retry == Retry::Yes && !refreshed.changed &&
            rejected_certificates_->issues == refreshed.issues) {
            return;  // said already
        }
        ++reloads_[static_cast<std::size_t>(ReloadResult::Rejected)];
        log::error("certificates rejected", "errors", refreshed.issues.size(), "keeping",
                   "those in use");
        log_issues("certificate error", refreshed.issues);
        note({.kind = Event::Kind::Config,
              .generation = generation_,
              .result = "rejected",
              .message = format_issue(refreshed.issues.front())});
    }
    const bool rejected_before = rejected_certificates_.has_value();
    rejected_certificates_.reset();
    if (!refreshed.issues.empty()) {
        rejected_certificates_ =
            LastReload{ReloadResult::Rejected, loop_.wall_now(), refreshed.issues, {}};
    }
    if (refreshed.changed) {
        ++reloads_[static_cast<std::size_t>(ReloadResult::Applied)];
        log_issues("certificate warning", publisher_.material().warnings);
        log::info("certificates applied", "generation", generation_);
        note({.kind = Event::Kind::Config,
              .generation = generation_,
              .result = "applied",
              .message = "certificates read again"});
    } else if (rejected_before && refreshed.issues.empty()) {
        log::info("certificates are again those in use");
    }
}

}  // namespace rproxy::control
