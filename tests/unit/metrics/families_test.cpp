#include "metrics/families.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

namespace rproxy::metrics {
namespace {

bool is_word(std::string_view text) {
    return !text.empty() && text.front() >= 'a' && text.front() <= 'z' &&
           std::ranges::all_of(text, [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
           });
}

TEST(Families, HaveUniqueNamesThatFollowTheConventions) {
    std::set<std::string_view> names;
    for (const auto& family : definitions()) {
        EXPECT_TRUE(names.insert(family.name).second) << family.name << " twice";
        EXPECT_TRUE(is_word(family.name)) << family.name;
        EXPECT_TRUE(family.name.starts_with("rproxy_") || family.name.starts_with("process_"))
            << family.name;
        EXPECT_EQ(family.name.ends_with("_total"), family.type == Type::Counter) << family.name;
        EXPECT_EQ(family.name.ends_with("_timestamp_seconds"), family.help.contains("Unix time"))
            << family.name;
    }
}

TEST(Families, ExplainThemselvesInOneLineThatNeedsNoEscape) {
    for (const auto& family : definitions()) {
        EXPECT_TRUE(family.help.ends_with('.')) << family.name;
        EXPECT_EQ(family.help.find_first_of("\n\\|"), std::string_view::npos) << family.name;
    }
}

TEST(Families, HaveLabelsThatPrometheusAccepts) {
    for (const auto& family : definitions()) {
        for (std::size_t i = 0; i < family.label_count(); ++i) {
            EXPECT_TRUE(is_word(family.label_names[i])) << family.name;
            EXPECT_NE(family.label_names[i], "le") << family.name;
        }
        EXPECT_TRUE(family.known_values.empty() || family.label_count() > 0) << family.name;
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

/// The reference between its two markers in docs/metrics.md is reference_markdown().
/// RPROXY_UPDATE_DOCS=1 writes it there.
TEST(Families, AreWhatTheReferenceSays) {
    const auto* const source = std::getenv("RPROXY_SOURCE_DIR");  // NOLINT(concurrency-mt-unsafe)
    ASSERT_NE(source, nullptr);
    const auto path = std::string{source} + "/docs/metrics.md";
    const std::string begin_marker = "<!-- generated from pkg/metrics/families.cpp -->\n";
    const std::string end_marker = "<!-- end of what is generated -->\n";
    auto text = read(path);
    const auto marker = text.find(begin_marker);
    const auto end = text.find(end_marker);
    ASSERT_NE(marker, std::string::npos);
    ASSERT_NE(end, std::string::npos);
    const auto begin = marker + begin_marker.size();
    const auto wanted = "\n" + reference_markdown() + "\n";
    const auto* const update = std::getenv("RPROXY_UPDATE_DOCS");  // NOLINT(concurrency-mt-unsafe)
    if (update != nullptr && std::string_view{update} == "1") {
        text.replace(begin, end - begin, wanted);
        std::ofstream{path} << text;
        return;
    }
    EXPECT_EQ(text.substr(begin, end - begin), wanted)
        << "docs/metrics.md is stale: run this test with RPROXY_UPDATE_DOCS=1";
}

}  // namespace
}  // namespace rproxy::metrics
