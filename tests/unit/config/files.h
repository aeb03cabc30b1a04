#pragma once

#include "config/issue.h"
#include "config/load.h"
#include "config/snapshot.h"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

/// What the tests of the configuration share: the files of the checkout, and loading with the
/// issues as text.
namespace rproxy::config::testing {

std::filesystem::path source_dir();
std::string read_file(const std::filesystem::path& path);
void write_file(const std::filesystem::path& path, std::string_view content);
/// The paths with this extension, sorted.
std::vector<std::filesystem::path> files_in(const std::filesystem::path& folder,
                                            std::string_view extension);
/// Whether the tests shall write their expected files anew instead of comparing.
bool updating();

/// One line for each issue, as `rproxy check` prints it, with `file` for the name.
std::string issues_text(const std::vector<Issue>& issues, std::string_view file);
/// The Snapshot of a text that must be valid; fails the test otherwise.
Snapshot must_load(std::string_view text);
/// The lines of issues_text for a text that must not be valid, with `f` for the name.
std::string issues_of(std::string_view text);

}  // namespace rproxy::config::testing
