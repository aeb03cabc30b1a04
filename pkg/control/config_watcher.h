#pragma once

#include "base/byte_size.h"
#include "base/clock.h"
#include "control/directory_watches.h"
#include "control/file_reader.h"

#include <chrono>
#include <expected>
#include <optional>
#include <string>

namespace rproxy::control {

using namespace std::chrono_literals;

/// Tells when the configuration file has new content: a ConfigMap's `..data` swap, an edit in
/// place, a rename over it, a link replaced, a directory removed and made again, permissions that
/// come and go. Changes are noticed through inotify, read when they have settled, and compared by
/// content; a slow poll finds what inotify cannot see (NFS), a faster one replaces it where its
/// limits are exhausted.
///
/// Control thread. The caller waits for fd() or next_wakeup() and then calls poll(); only the time
/// passed in counts. The first poll() is due at once.
class ConfigWatcher {
public:
    struct Options {
        std::string path;
        std::chrono::milliseconds settle{50};         ///< Quiet time after an event before reading.
        std::chrono::milliseconds settle_limit{500};  ///< Read then, however restless it is.
        std::chrono::milliseconds poll_interval{10s};
        std::chrono::milliseconds fallback_interval{1s};  ///< While something cannot be watched.
        ByteSize max_size{mib(16)};
        bool use_inotify{true};  ///< False: only polls, every fallback_interval.
    };
    struct Change {
        std::string text;
        std::string sha256;
    };
    /// Nothing: as before. A change: other content than the one last returned, or the first content
    /// after an error, be it the same as before. An error: once, until its kind changes or a read
    /// succeeds; what was returned before stays the running content.
    using Result = std::optional<std::expected<Change, ReadError>>;

    ConfigWatcher(Options options, MonotonicTime now);

    /// To be watched for readability; -1 if there is only polling. The same for the object's life.
    int fd() const;
    /// When poll() is due even if the descriptor stays silent.
    MonotonicTime next_wakeup() const;
    /// Takes what the descriptor tells and reads the file if that is due.
    Result poll(MonotonicTime now);
    /// Reads now (SIGHUP). Content that is already known is no change.
    Result force(MonotonicTime now);

    /// Whether something cannot be watched, so that the file is polled instead.
    bool polling() const { return polling_; }
    /// Whether the file is mounted by `subPath`: such a file never changes while the pod lives
    /// (kubernetes #50345). Told by a warning, once.
    bool is_sub_path() const { return sub_path_; }

private:
    void notice(MonotonicTime now);
    void refresh_watches();
    void detect_sub_path();
    Result read(MonotonicTime now);
    Result judge(std::expected<FileContent, ReadError> content);

    Options options_;
    std::optional<DirectoryWatches> watches_;
    MonotonicTime next_poll_;
    std::optional<MonotonicTime> restless_since_;  ///< The first event not yet followed by a read.
    MonotonicTime settled_at_;                     ///< Only with restless_since_.
    std::optional<std::string> last_sha256_;
    std::optional<ReadError::Kind> last_error_;
    bool polling_{false};
    bool sub_path_{false};
};

/// Whether the file at `path` is itself the root of a mount, without the `..data` link beside it
/// that a whole ConfigMap volume has. False where the kernel cannot tell (before Linux 5.8).
bool looks_like_sub_path(const std::string& path);

}  // namespace rproxy::control
