#include "control/config_watcher.h"

#include "control/sha256.h"
#include "log/log.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

namespace rproxy::control {

ConfigWatcher::ConfigWatcher(Options options, MonotonicTime now)
    : options_(std::move(options)), next_poll_(now) {
    if (options_.use_inotify) {
        watches_.emplace(options_.path);
    }
    refresh_watches();
}

int ConfigWatcher::fd() const {
    return watches_ ? watches_->fd() : -1;
}

MonotonicTime ConfigWatcher::next_wakeup() const {
    return restless_since_ ? std::min(next_poll_, settled_at_) : next_poll_;
}

ConfigWatcher::Result ConfigWatcher::poll(MonotonicTime now) {
    if (watches_ && watches_->drain()) {
        notice(now);
    }
    return now >= next_wakeup() ? read(now) : std::nullopt;
}

ConfigWatcher::Result ConfigWatcher::force(MonotonicTime now) {
    return read(now);
}

void ConfigWatcher::notice(MonotonicTime now) {
    restless_since_ = restless_since_.value_or(now);
    settled_at_ = std::min(now + options_.settle, *restless_since_ + options_.settle_limit);
}

void ConfigWatcher::refresh_watches() {
    const bool watched = watches_ && watches_->refresh();
    if (watches_ && watched == polling_) {
        if (watched) {
            log::info("configuration watched again", "path", options_.path);
        } else {
            log::warn("configuration cannot be watched, polling it", "path", options_.path, "error",
                      watches_->problem(), "interval_ms", options_.fallback_interval.count());
        }
    }
    polling_ = !watched;
}

void ConfigWatcher::detect_sub_path() {
    if (sub_path_ || !looks_like_sub_path(options_.path)) {
        return;
    }
    sub_path_ = true;
    log::warn("configuration is mounted by subPath and will never change while this pod lives",
              "path", options_.path, "hint", "mount the whole ConfigMap as a directory");
}

ConfigWatcher::Result ConfigWatcher::read(MonotonicTime now) {
    const auto restless_since = restless_since_;
    restless_since_.reset();
    refresh_watches();
    next_poll_ = now + (polling_ ? options_.fallback_interval : options_.poll_interval);
    auto content = read_file(options_.path, options_.max_size);
    const auto since = restless_since.value_or(now);
    if (content && !content->settled && now - since < options_.settle_limit) {
        restless_since_ = since;
        notice(now);
        return std::nullopt;
    }
    detect_sub_path();
    return judge(std::move(content));
}

ConfigWatcher::Result ConfigWatcher::judge(std::expected<FileContent, ReadError> content) {
    if (!content) {
        if (last_error_ == content.error().kind) {
            return std::nullopt;
        }
        last_error_ = content.error().kind;
        return std::unexpected(std::move(content.error()));
    }
    auto sha256 = sha256_hex(content->text);
    const bool known = last_sha256_ == sha256 && !last_error_;
    last_error_.reset();
    if (known) {
        return std::nullopt;
    }
    last_sha256_ = sha256;
    return Change{std::move(content->text), std::move(sha256)};
}

bool looks_like_sub_path(const std::string& path) {
    struct statx status{};
    if (::statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, STATX_TYPE, &status) != 0 ||
        !S_ISREG(status.stx_mode) || (status.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) == 0 ||
        (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) == 0) {
        return false;
    }
    std::error_code error;
    const auto data = std::filesystem::path(path).parent_path() / "..data";
    return !std::filesystem::exists(std::filesystem::symlink_status(data, error));
}

}  // namespace rproxy::control
