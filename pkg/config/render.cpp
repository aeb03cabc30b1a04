#include "config/render.h"

#include "config/table.h"
#include "config/yaml_writer.h"

#include <utility>

namespace rproxy::config {

namespace {

void prune(Node& node, const Shape& shape);

void prune_section(Node& map, const Shape& section) {
    std::vector<Entry> kept;
    for (auto& entry : map.entries) {
        const Shape* const shape = section.find(entry.key);
        const Node& fallback = shape->key.default_value;
        if (!fallback.is_null() && same(entry.value, fallback)) {
            continue;
        }
        prune(entry.value, *shape);
        kept.push_back(std::move(entry));
    }
    map.entries = std::move(kept);
}

/// Removes what says no more than its absence would.
void prune(Node& node, const Shape& shape) {
    if (shape.kind == Shape::Kind::Section) {
        prune_section(node, shape);
    }
    if (shape.kind == Shape::Kind::List || shape.kind == Shape::Kind::Named) {
        for (auto& item : node.items) {
            prune(item, shape.parts.front());
        }
        for (auto& entry : node.entries) {
            prune(entry.value, shape.parts.front());
        }
    }
}

}  // namespace

std::string render(const Snapshot& snapshot, Detail detail) {
    Node root = write_section(snapshot, snapshot_section());
    if (detail == Detail::Changed) {
        prune(root, snapshot_shape());
        root.entries.insert(root.entries.begin(), Entry{"version", {}, Node::literal("1")});
    }
    return yaml_block(root);
}

}  // namespace rproxy::config
