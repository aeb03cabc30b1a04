#pragma once

#include <expected>
#include <string>

namespace rproxy::control {

/// Puts `text` in the place of the file at `path`, so that a reader sees the old file or the new
/// one and never a part: beside it, synced, and renamed over it. A link stays a link (what it leads
/// to is replaced), and owner, group and mode are those of before. Where the file can be written
/// but not replaced (a single file that is mounted), it is written in place. On failure, why; the
/// old file is still there. Any thread.
std::expected<void, std::string> replace_config_file(const std::string& path,
                                                     const std::string& text);

}  // namespace rproxy::control
