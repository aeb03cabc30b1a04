#include "metrics/families.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>
#include <span>
#include <string>

namespace rproxy::metrics {
namespace {

bool is_word(std::string_view text) {
    return !text.empty() && text.front() >= 'a' && text.front() <= 'z' &&
           std::ranges::all_of(text, [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
           });
}

/// What is wrong with a family, or nothing.
std::string_view wrong_name(const Definition& family) {
    if (!is_word(family.name)) {
        return "not lower case with underscores";
    }
    if (!family.name.starts_with("rproxy_") && !family.name.starts_with("process_")) {
        return "without a prefix";
    }
    if (family.name.ends_with("_total") != (family.type == Type::Counter)) {
        return "_total is for counters, and only for them";
    }
    if (family.name.ends_with("_timestamp_seconds") != family.help.contains("Unix time")) {
        return "a timestamp that does not say so, or the reverse";
    }
    return "";
}

std::string_view wrong_help(const Definition& family) {
    if (!family.help.ends_with('.')) {
        return "not a sentence";
    }
    return family.help.find_first_of("\n\\|") == std::string_view::npos ? "" : "needs an escape";
}

std::string_view wrong_labels(const Definition& family) {
    const auto names = std::span{family.label_names}.first(family.label_count());
    if (!std::ranges::all_of(names, is_word)) {
        return "not lower case with underscores";
    }
    if (std::ranges::find(names, "le") != names.end()) {
        return "le belongs to histograms";
    }
    return names.empty() && !family.known_values.empty() ? "values without a label" : "";
}

TEST(Families, HaveUniqueNames) {
    std::set<std::string_view> names;
    for (const auto& family : definitions()) {
        EXPECT_TRUE(names.insert(family.name).second) << family.name;
    }
}

TEST(Families, FollowTheConventions) {
    for (const auto& family : definitions()) {
        EXPECT_EQ(wrong_name(family), "") << family.name;
        EXPECT_EQ(wrong_help(family), "") << family.name;
        EXPECT_EQ(wrong_labels(family), "") << family.name;
    }
}

TEST(Families, HaveAscendingBoundsIfAndOnlyIfTheyAreHistograms) {
    for (const auto& family : definitions()) {
        EXPECT_EQ(family.bounds.empty(), family.type != Type::Histogram) << family.name;
        EXPECT_TRUE(std::ranges::is_sorted(family.bounds, std::ranges::less_equal{}))
            << family.name;
    }
}

TEST(Families, AreFoundByName) {
    EXPECT_EQ(find_family("rproxy_backend_up"), Family::BackendUp);
    EXPECT_EQ(definition(Family::BackendUp).name, "rproxy_backend_up");
    EXPECT_EQ(find_family("rproxy_backend_u"), std::nullopt);
}

std::string read(const std::string& path) {
    std::ifstream file{path};
    return {std::istreambuf_iterator<char>{file}, {}};
}

std::string environment(const char* name) {
    const auto* const value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
    return value == nullptr ? "" : value;
}

/// The reference between its two markers in docs/metrics.md is reference_markdown().
/// RPROXY_UPDATE_DOCS=1 writes it there.
TEST(Families, AreWhatTheReferenceSays) {
    const auto path = environment("RPROXY_SOURCE_DIR") + "/docs/metrics.md";
    const std::string_view begin_marker = "<!-- generated from pkg/metrics/families.cpp -->\n";
    auto text = read(path);
    const auto begin = text.find(begin_marker) + begin_marker.size();
    const auto end = text.find("<!-- end of what is generated -->\n");
    ASSERT_LT(begin, end);
    ASSERT_NE(end, std::string::npos) << path << " has no markers";
    const auto wanted = "\n" + reference_markdown() + "\n";
    if (environment("RPROXY_UPDATE_DOCS") == "1") {
        std::ofstream{path} << text.replace(begin, end - begin, wanted);
        return;
    }
    EXPECT_EQ(text.substr(begin, end - begin), wanted)
        << "docs/metrics.md is stale: run this test with RPROXY_UPDATE_DOCS=1";
}

}  // namespace
}  // namespace rproxy::metrics
