#include "config/schema.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <string>

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

}  // namespace
}  // namespace rproxy::config::testing
