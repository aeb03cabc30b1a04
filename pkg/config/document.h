#pragma once

#include "config/issue.h"
#include "config/node.h"

#include <cstddef>
#include <string_view>
#include <vector>

namespace rproxy::config {

/// More is refused: five times what 10,000 backends with all their keys need.
constexpr std::size_t kLongestText = std::size_t{8} << 20U;
/// Values of one file after aliases and merge keys are expanded, so that a small file cannot become
/// a large one ("billion laughs").
constexpr std::size_t kMostNodes = 1'000'000;

/// Reads the text of a file as one YAML document. What is wrong (encoding, syntax, several
/// documents, duplicate keys, unknown aliases and tags, too much) is added to `issues`; the tree
/// then holds what could be read, Null if nothing could.
Node parse_document(std::string_view text, std::vector<Issue>& issues);

/// For a text without any value: shows the shortest file that is valid.
Issue empty_file_issue();

}  // namespace rproxy::config
