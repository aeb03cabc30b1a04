#include "control/directory_watches.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <deque>
#include <filesystem>
#include <system_error>
#include <utility>

namespace rproxy::control {

namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kEvents = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_MODIFY |
                                  IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF |
                                  IN_ONLYDIR;

void push_front(std::deque<fs::path>& rest, const fs::path& path) {
    rest.insert(rest.begin(), path.begin(), path.end());
}

}  // namespace

std::set<std::string> directories_on_the_way(const std::string& path) {
    constexpr int kMostLinks = 40;  // as the kernel's own limit
    std::set<std::string> directories;
    std::error_code error;
    std::deque<fs::path> rest;
    push_front(rest, fs::absolute(path, error));
    fs::path at = "/";
    int links = 0;
    while (!rest.empty()) {
        const fs::path name = rest.front();
        rest.pop_front();
        if (name.empty() || name == "." || name == "/") {
            at = name == "/" ? name : at;
            continue;
        }
        if (name == "..") {
            at = at.parent_path();
            continue;
        }
        const auto status = fs::symlink_status(at / name, error);
        if (fs::is_symlink(status) && ++links <= kMostLinks) {
            directories.insert(at);
            push_front(rest, fs::read_symlink(at / name, error));
        } else if (fs::is_directory(status)) {
            at /= name;
        } else {
            break;  // the file, or where the way ends for now
        }
    }
    directories.insert(at);
    return directories;
}

DirectoryWatches::DirectoryWatches(std::set<std::string> paths)
    : paths_(std::move(paths)), fd_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
    if (fd_ < 0) {
        problem_ = "inotify: " + std::generic_category().message(errno);
    }
}

DirectoryWatches::~DirectoryWatches() {
    if (fd_ >= 0) {
        ::close(fd_);
    }
}

bool DirectoryWatches::refresh() {
    if (fd_ < 0) {
        return false;
    }
    // What the path leads through may change between looking and watching: until both agree.
    constexpr int kRounds = 4;
    bool complete = false;
    for (int round = 0; round < kRounds; ++round) {
        std::set<std::string> wanted;
        for (const auto& path : paths_) {
            wanted.merge(directories_on_the_way(path));
        }
        complete = true;
        const auto before = std::exchange(watches_, {});
        for (const auto& directory : wanted) {
            complete = add(directory) && complete;
        }
        std::set<int> kept;
        for (const auto& [directory, watch] : watches_) {
            kept.insert(watch);
        }
        bool changed = watches_.size() != before.size();
        for (const auto& [directory, watch] : before) {
            changed = changed || !kept.contains(watch);
            if (!kept.contains(watch)) {
                ::inotify_rm_watch(fd_, watch);
            }
        }
        if (!changed) {
            break;
        }
    }
    return complete;
}

/// Adding a directory that is watched already gives the watch it has.
bool DirectoryWatches::add(const std::string& directory) {
    const int watch = ::inotify_add_watch(fd_, directory.c_str(), kEvents);
    if (watch < 0) {
        problem_ = "inotify on " + directory + ": " + std::generic_category().message(errno);
        return false;
    }
    watches_[directory] = watch;
    return true;
}

bool DirectoryWatches::drain() const {
    bool any = false;
    alignas(inotify_event) std::array<char, 8192> events{};
    while (fd_ >= 0 && ::read(fd_, events.data(), events.size()) > 0) {
        any = true;
    }
    return any;
}

std::set<std::string> DirectoryWatches::directories() const {
    std::set<std::string> names;
    for (const auto& [directory, watch] : watches_) {
        names.insert(directory);
    }
    return names;
}

}  // namespace rproxy::control
