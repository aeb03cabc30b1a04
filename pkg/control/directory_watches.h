#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>

namespace rproxy::control {

/// inotify watches on every directory in which a change can make a path mean another file: that of
/// the file itself, those of all symbolic links on the way to it, and, while part of the way is
/// missing, the deepest directory that exists. Watching the file would not do: such a watch dies
/// with the first `..data` swap or rename. Control thread.
class DirectoryWatches {
public:
    explicit DirectoryWatches(std::string path)
        : DirectoryWatches(std::set<std::string>{std::move(path)}) {}
    explicit DirectoryWatches(std::set<std::string> paths);
    ~DirectoryWatches();
    DirectoryWatches(const DirectoryWatches&) = delete;
    DirectoryWatches& operator=(const DirectoryWatches&) = delete;
    DirectoryWatches(DirectoryWatches&&) = delete;
    DirectoryWatches& operator=(DirectoryWatches&&) = delete;

    /// Readable when something changed; -1 for good if inotify could not be had.
    int fd() const { return fd_; }
    /// Other paths from the next refresh() on.
    void set_paths(std::set<std::string> paths) { paths_ = std::move(paths); }
    /// Brings the watches in line with what the paths lead through now; cheap when nothing changed.
    /// Call it before the file is read, so that no later change goes unseen. False: what could not
    /// be watched must be polled; `problem()` says why.
    bool refresh();
    const std::string& problem() const { return problem_; }
    /// Takes all pending events; whether there was one.
    bool drain() const;
    std::set<std::string> directories() const;

private:
    bool add(const std::string& directory);

    std::set<std::string> paths_;
    int fd_;
    std::map<std::string, int> watches_;  ///< Directory → watch descriptor.
    std::string problem_;
};

/// The directories that DirectoryWatches would watch for `path` now.
std::set<std::string> directories_on_the_way(const std::string& path);

}  // namespace rproxy::control
