#include "config/schema.h"

#include "base/duration.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <regex>
#include <string>
#include <vector>

namespace rproxy::config::testing {
namespace {

using Json = nlohmann::json;

/// Calls `check` for every schema of a map with its place.
template <typename Check>
void for_each_object(const Json& schema, const std::string& place, Check check) {
    if (schema.is_object() && schema.contains("properties") && schema.contains("type")) {
        check(schema, place);
    }
    if (schema.is_structured()) {
        for (const auto& [key, value] : schema.items()) {
            for_each_object(value, place + "/" + key, check);
        }
    }
}

/// Every regular expression in the schema.
std::vector<std::string> patterns(const Json& schema) {
    std::vector<std::string> found;
    for (const auto& [key, value] : schema.items()) {
        if (key == "pattern" && value.is_string()) {
            found.push_back(value);
        } else if (value.is_structured()) {
            for (auto& pattern : patterns(value)) {
                found.push_back(std::move(pattern));
            }
        }
    }
    return found;
}

TEST(Schema, IsTheSameEveryTime) {
    EXPECT_EQ(json_schema(), json_schema());
}

TEST(Schema, ClosesEveryMapAndExplainsEveryKey) {
    const Json schema = Json::parse(json_schema());
    EXPECT_EQ(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    std::size_t keys = 0;
    for_each_object(schema, "", [&](const Json& map, const std::string& place) {
        EXPECT_EQ(map.value("additionalProperties", true), false) << place;
        for (const auto& [name, value] : map["properties"].items()) {
            ++keys;
            EXPECT_TRUE(value.contains("description") || value.contains("$ref")) << place << name;
        }
    });
    EXPECT_GT(keys, 80U);
}

TEST(Schema, GivesDefaultsThatAreItsOwn) {
    const Json schema = Json::parse(json_schema());
    const Json& pool = schema["$defs"]["pool"]["properties"];
    EXPECT_EQ(pool["method"]["default"], "round_robin");
    EXPECT_EQ(pool["health_check"]["properties"]["rise"]["default"], 2);
    EXPECT_EQ(pool["hide_backend_identity"]["default"], true);
    EXPECT_EQ(schema["properties"]["listeners"]["default"][0]["address"], "0.0.0.0:8080");
    EXPECT_FALSE(pool["sticky"].contains("default"));
}

TEST(Schema, TakesThePoolsKeysAtTheTopButNotThoseOfTheClients) {
    const Json properties = Json::parse(json_schema())["properties"];
    EXPECT_EQ(properties["method"]["$ref"], "#/$defs/pool/properties/method");
    EXPECT_TRUE(properties["timeouts"]["properties"].contains("client_idle"));
    EXPECT_FALSE(properties.contains("tls"));
}

TEST(Schema, HasOnlyPatternsThatRe2Takes) {
    const auto all = patterns(Json::parse(json_schema()));
    EXPECT_GT(all.size(), 10U);
    for (const auto& pattern : all) {
        // Helm refuses the whole chart for a look-around, which all begin like this.
        EXPECT_EQ(pattern.find("(?"), std::string::npos) << pattern;
    }
}

TEST(Schema, TakesTheDurationsThatTheParserTakes) {
    const Json schema = Json::parse(json_schema());
    const auto all = patterns(schema["$defs"]["pool"]["properties"]["slow_start"]);
    ASSERT_FALSE(all.empty());
    const std::regex pattern(all.front());
    for (const std::string text :
         {"",    "0",    "1",     "s",      "5s",          "500ms",      "1m30s", "1.5h",
          "1d",  "2d3h", "1h5ms", "1m1ms",  "1d1h1m1s1ms", "30s1m",      "1s1s",  "1ms1s",
          "-1s", "1.s",  ".5s",   "1 m",    "1m ",         "1us",        "0s",    "1h0m",
          "00",  "1e3s", "5S",    "1m1m1m", "1h30",        "0.25m0.5ms", "1d1d",  "0ms0"}) {
        EXPECT_EQ(std::regex_match(text, pattern), parse_duration(text).has_value()) << text;
    }
}

}  // namespace
}  // namespace rproxy::config::testing
