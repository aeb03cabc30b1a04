#pragma once

#include "base/clock.h"

#include <expected>
#include <optional>
#include <string>

namespace rproxy::control {

/// The last accepted configuration, kept in a directory (`--state-dir`) over restarts: one file
/// with the text, its hash and when it was accepted. A reader sees the file before a save or the
/// one after it, never a part; what fails its hash is reported and not used. Control thread.
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
    const std::string& path() const { return path_; }

private:
    const std::string directory_;
    const std::string path_;
};

}  // namespace rproxy::control
