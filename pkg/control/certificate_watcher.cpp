#include "control/certificate_watcher.h"

#include <algorithm>
#include <utility>

namespace rproxy::control {

CertificateWatcher::CertificateWatcher(Options options) : options_(std::move(options)) {}

void CertificateWatcher::watch(std::set<std::string> paths, std::string digest, MonotonicTime now) {
    if (paths == paths_) {
        digest_ = digest.empty() ? digest_ : std::move(digest);
        return;
    }
    paths_ = std::move(paths);
    watches_.set_paths(paths_);
    const bool complete = watches_.refresh();
    digest_ = digest.empty() ? read() : std::move(digest);
    // What changed between the reading and the watching is found by the first poll.
    next_poll_ = paths_.empty() ? MonotonicTime::max()
                                : now + (complete ? options_.settle : options_.fallback_interval);
    restless_since_.reset();
}

MonotonicTime CertificateWatcher::next_wakeup() const {
    return restless_since_ ? std::min(next_poll_, settled_at_) : next_poll_;
}

bool CertificateWatcher::poll(MonotonicTime now) {
    if (watches_.drain() && !paths_.empty()) {
        restless_since_ = restless_since_.value_or(now);
        settled_at_ = std::min(now + options_.settle, *restless_since_ + options_.settle_limit);
    }
    if (now < next_wakeup()) {
        return false;
    }
    restless_since_.reset();
    // Before the files are read, so that no later change goes unseen.
    const bool complete = watches_.refresh();
    next_poll_ = now + (complete ? options_.poll_interval : options_.fallback_interval);
    return std::exchange(digest_, read()) != digest_;
}

std::string CertificateWatcher::read() const {
    tls::FileTexts texts(options_.read);
    for (const auto& path : paths_) {
        static_cast<void>(texts.get(path));
    }
    return texts.digest();
}

}  // namespace rproxy::control
