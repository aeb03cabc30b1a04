#include "config/schema.h"

#include "config/table.h"

#include <nlohmann/json.hpp>

#include <string>

namespace rproxy::config {

namespace {

using Json = nlohmann::ordered_json;

Json to_json(const Node& node) {
    switch (node.kind) {
        case Node::Kind::Null:
            return nullptr;
        case Node::Kind::Scalar:
            return node.plain ? Json::parse(node.text) : Json(node.text);
        case Node::Kind::Sequence: {
            Json list = Json::array();
            for (const auto& item : node.items) {
                list.push_back(to_json(item));
            }
            return list;
        }
        case Node::Kind::Map:
            break;
    }
    Json map = Json::object();
    for (const auto& entry : node.entries) {
        map[entry.key] = to_json(entry.value);
    }
    return map;
}

Json shape_schema(const Shape& shape);

Json key_schema(const Shape& shape) {
    Json schema = shape_schema(shape);
    schema["description"] = shape.key.meaning;
    if (!shape.key.default_value.is_null()) {
        schema["default"] = to_json(shape.key.default_value);
    }
    return schema;
}

Json section_schema(const Shape& shape) {
    Json schema{{"type", "object"}};
    Json required = Json::array();
    schema["properties"] = Json::object();
    for (const auto& part : shape.parts) {
        schema["properties"][part.key.name] = key_schema(part);
        if (part.key.required) {
            required.push_back(part.key.name);
        }
    }
    if (!required.empty()) {
        schema["required"] = required;
    }
    schema["additionalProperties"] = false;
    return schema;
}

/// Quoted numbers are numbers to the parser.
Json integer_schema(const Shape& shape) {
    return {{"anyOf",
             {{{"type", "integer"},
               {"minimum", static_cast<std::uint64_t>(shape.least)},
               {"maximum", static_cast<std::uint64_t>(shape.most)}},
              {{"type", "string"}, {"pattern", "^(0|[1-9][0-9]*)$"}}}}};
}

Json unit_schema(const Shape& shape) {
    Json text{{"type", "string"}, {"pattern", shape.pattern}};
    switch (shape.bare) {
        case Shape::Bare::No:
            return text;
        case Shape::Bare::Zero:
            return {{"anyOf", {text, {{"const", 0}}}}};
        case Shape::Bare::Any:
            break;
    }
    return {{"anyOf", {text, {{"type", "integer"}, {"minimum", 0}}}}};
}

/// A word that looks like a number is also accepted as one.
Json words_schema(const Shape& shape) {
    Json words = Json::array();
    for (const auto& word : shape.words) {
        words.push_back(word);
        if (classify(word) == Scalar::Number) {
            words.push_back(Json::parse(word));
        }
    }
    return {{"enum", words}};
}

Json list_schema(const Shape& shape) {
    Json schema{{"type", "array"}, {"items", shape_schema(shape.parts.front())}};
    if (shape.not_empty) {
        schema["minItems"] = 1;
    }
    return schema;
}

Json named_schema(const Shape& shape) {
    // The only Named shape is that of the pools.
    Json schema{{"type", "object"},
                {"propertyNames", {{"pattern", shape.pattern}}},
                {"additionalProperties", {{"$ref", "#/$defs/pool"}}}};
    if (shape.not_empty) {
        schema["minProperties"] = 1;
    }
    return schema;
}

Json text_schema(const Shape& shape) {
    Json schema{{"type", "string"}, {"minLength", 1}};
    if (!shape.pattern.empty()) {
        schema["pattern"] = shape.pattern;
    }
    return schema;
}

Json shape_schema(const Shape& shape) {
    switch (shape.kind) {
        case Shape::Kind::Boolean:
            return {{"enum", {true, false, "true", "false"}}};
        case Shape::Kind::Integer:
            return integer_schema(shape);
        case Shape::Kind::Number:
            return {{"anyOf",
                     {{{"type", "number"}, {"minimum", shape.least}, {"maximum", shape.most}},
                      {{"type", "string"}, {"pattern", R"(^[0-9]+(\.[0-9]+)?$)"}}}}};
        case Shape::Kind::Text:
            return text_schema(shape);
        case Shape::Kind::Unit:
            return unit_schema(shape);
        case Shape::Kind::Words:
            return words_schema(shape);
        case Shape::Kind::Section:
            return section_schema(shape);
        case Shape::Kind::List:
            return list_schema(shape);
        case Shape::Kind::Named:
            return named_schema(shape);
        case Shape::Kind::Either:
            break;
    }
    Json any = Json::array();
    for (const auto& part : shape.parts) {
        any.push_back(shape_schema(part));
    }
    return {{"anyOf", any}};
}

}  // namespace

std::string json_schema() {
    Json schema{{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                {"title", "rproxy configuration"}};
    schema.update(section_schema(snapshot_shape()));
    // Either pools, or the keys of one pool at the top: the short form.
    Json no_short_keys = Json::object();
    for (const auto& key : pool_section().keys) {
        const std::string& name = key.shape.key.name;
        if (allowed_in_short_form(name)) {
            schema["properties"][name] = {{"$ref", "#/$defs/pool/properties/" + name}};
            no_short_keys[name] = false;
        }
    }
    schema["oneOf"] = {{{"required", {"pools"}}, {"properties", no_short_keys}},
                       {{"required", {"backends"}}, {"properties", {{"pools", false}}}}};
    schema["$defs"] = {{"pool", section_schema(pool_section().shape())}};
    return schema.dump(2) + "\n";
}

}  // namespace rproxy::config
