#pragma once

#include <sstream>
#include <string>
#include <vector>

namespace rproxy::config::testing {

/// The contents of the ```yaml blocks of a Markdown text.
inline std::vector<std::string> yaml_blocks(const std::string& markdown) {
    std::vector<std::string> blocks;
    std::istringstream lines(markdown);
    bool inside = false;
    for (std::string line; std::getline(lines, line);) {
        if (!inside && line == "```yaml") {
            blocks.emplace_back();
            inside = true;
        } else if (inside && line == "```") {
            inside = false;
        } else if (inside) {
            blocks.back() += line + "\n";
        }
    }
    return blocks;
}

}  // namespace rproxy::config::testing
