#pragma once

#include "base/clock.h"
#include "control/directory_watches.h"
#include "tls/file_texts.h"

#include <chrono>
#include <optional>
#include <set>
#include <string>

namespace rproxy::control {

/// Tells when the content of any of several files changed: certificates, keys, authorities. They
/// are watched as the configuration is (inotify on directories, events settled, contents compared,
/// a slow poll behind it), and looked at together, because a pair is replaced as a pair.
///
/// Control thread. The caller waits for fd() or next_wakeup() and then calls poll(); only the time
/// passed in counts.
class CertificateWatcher {
public:
    struct Options {
        std::chrono::milliseconds settle{50};  ///< Quiet time after an event before reading.
        std::chrono::milliseconds settle_limit{500};
        std::chrono::milliseconds poll_interval{std::chrono::seconds{10}};
        std::chrono::milliseconds fallback_interval{std::chrono::seconds{1}};
        tls::FileTexts::Read read{tls::read_secret};
    };
    CertificateWatcher() : CertificateWatcher(Options{}) {}
    explicit CertificateWatcher(Options options);

    /// Watches these from now on. `digest` is of what was read of them last (FileTexts::digest());
    /// empty: of what they say now.
    void watch(std::set<std::string> paths, std::string digest, MonotonicTime now);

    /// To be watched for readability; -1 if there is only polling. The same for the object's life.
    int fd() const { return watches_.fd(); }
    /// When poll() is due even if the descriptor stays silent.
    MonotonicTime next_wakeup() const;
    /// True: something reads otherwise than when it was last told of.
    bool poll(MonotonicTime now);

private:
    std::string read() const;

    const Options options_;
    std::set<std::string> paths_;
    DirectoryWatches watches_{std::set<std::string>{}};
    std::string digest_;
    MonotonicTime next_poll_{MonotonicTime::max()};
    std::optional<MonotonicTime> restless_since_;
    MonotonicTime settled_at_;
};

}  // namespace rproxy::control
