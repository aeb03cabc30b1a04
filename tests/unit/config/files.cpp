#include "unit/config/files.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace rproxy::config::testing {

std::filesystem::path source_dir() {
    return RPROXY_SOURCE_DIR;
}

std::string read_file(const std::filesystem::path& path) {
    const std::ifstream file(path, std::ios::binary);
    std::ostringstream content;
    content << file.rdbuf();
    EXPECT_TRUE(file.good()) << "cannot read " << path;
    return content.str();
}

void write_file(const std::filesystem::path& path, std::string_view content) {
    std::ofstream file(path, std::ios::binary);
    file << content;
    EXPECT_TRUE(file.good()) << "cannot write " << path;
}

std::vector<std::filesystem::path> files_in(const std::filesystem::path& folder,
                                            std::string_view extension) {
    std::vector<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        if (entry.path().filename().string().ends_with(extension)) {
            paths.push_back(entry.path());
        }
    }
    std::ranges::sort(paths);
    return paths;
}

bool updating() {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): one thread
    return std::getenv("RPROXY_UPDATE_DOCS") != nullptr;
}

std::string issues_text(const std::vector<Issue>& issues, std::string_view file) {
    std::string text;
    for (const auto& issue : issues) {
        text += format(issue, file) + "\n";
    }
    return text;
}

Snapshot must_load(std::string_view text) {
    auto loaded = load(text);
    if (!loaded) {
        ADD_FAILURE() << "not valid:\n" << issues_text(loaded.error(), "f") << text;
        return {};
    }
    return *std::move(loaded);
}

std::string issues_of(std::string_view text) {
    const auto loaded = load(text);
    return loaded ? "valid\n" : issues_text(loaded.error(), "f");
}

}  // namespace rproxy::config::testing
