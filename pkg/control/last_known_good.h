#pragma once

#include "base/clock.h"

#include <expected>
#include <optional>
#include <string>

namespace rproxy::control {

/// A configuration that was tried out and did worse: by its hash, with the numbers that spoke
/// against it.
struct RolledBack {
    std::string sha256;
    std::string evidence;
};

/// The last accepted configuration, kept in a directory (`--state-dir`) over restarts: one file
/// with the text, its hash and when it was accepted. A reader sees the file before a save or the
/// one after it, never a part; what fails its hash is reported and not used. Beside it, which
/// configuration was rolled back: a restart that finds it in place must not take it for a new one.
/// Control thread.
class LastKnownGood {
public:
    struct Entry {
        std::string text;
        std::string sha256;
        WallTime accepted;  ///< Whole milliseconds.
    };

    explicit LastKnownGood(std::string directory);

    /// Replaces what is kept. On failure, why; what was kept before is still there.
    std::expected<void, std::string> save(const std::string& text, WallTime accepted);
    /// Nothing if nothing was ever kept. An error says why what is there cannot be trusted.
    std::expected<std::optional<Entry>, std::string> load() const;
    /// Remembers what was rolled back, in the place of what was before.
    std::expected<void, std::string> save_rolled_back(const RolledBack& rolled_back);
    /// Nothing if nothing is remembered. An error says why what is there cannot be trusted.
    std::expected<std::optional<RolledBack>, std::string> load_rolled_back() const;
    const std::string& rolled_back_path() const { return rolled_back_path_; }
    void forget_rolled_back();
    const std::string& path() const { return path_; }

private:
    std::expected<void, std::string> replace(const std::string& path, const std::string& bytes);

    const std::string directory_;
    const std::string path_;
    const std::string rolled_back_path_;
};

}  // namespace rproxy::control
