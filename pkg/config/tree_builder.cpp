#include "config/tree_builder.h"

#include "config/document.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace rproxy::config {

namespace {

constexpr std::string_view kMergeKey = "<<";
constexpr std::string_view kStandardTags = "tag:yaml.org,2002:";

Position position(const YAML::Mark& mark) {
    if (mark.is_null()) {
        return {};
    }
    return {static_cast<std::uint32_t>(mark.line) + 1, static_cast<std::uint32_t>(mark.column) + 1};
}

}  // namespace

void TreeBuilder::OnDocumentStart(const YAML::Mark& mark) {
    static_cast<void>(mark);
}

void TreeBuilder::OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) {
    Node node;
    node.at = position(mark);
    spend(1, node.at);
    place(std::move(node), anchor);
}

void TreeBuilder::OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) {
    const Position at = position(mark);
    if (anchor >= anchors_.size() || !known_[anchor]) {
        fail(at, path({}), "an alias refers to the value that it is part of",
             "write the value out");
        Node nothing;
        nothing.at = at;
        place(std::move(nothing), 0);
        return;
    }
    spend(anchors_[anchor].count(), at);
    place(anchors_[anchor], 0);
}

void TreeBuilder::OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                           const std::string& value) {
    // The parser's tag is "?" for a plain scalar and "!" for a quoted or block one.
    Node node = tag == "?" || tag.empty() ? Node::literal(value) : Node::string(value);
    node.at = position(mark);
    last_scalar_ = node.at;
    spend(1, node.at);
    check_tag(tag, node.at);
    place(std::move(node), anchor);
}

void TreeBuilder::OnSequenceStart(const YAML::Mark& mark, const std::string& tag,
                                  YAML::anchor_t anchor, YAML::EmitterStyle::value style) {
    static_cast<void>(style);
    open(Node::Kind::Sequence, mark, tag, anchor);
}

void TreeBuilder::OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                             YAML::EmitterStyle::value style) {
    static_cast<void>(style);
    open(Node::Kind::Map, mark, tag, anchor);
}

void TreeBuilder::OnSequenceEnd() {
    close();
}

void TreeBuilder::OnMapEnd() {
    finish_map(open_.back().node);
    close();
}

void TreeBuilder::open(Node::Kind kind, const YAML::Mark& mark, const std::string& tag,
                       YAML::anchor_t anchor) {
    Node node;
    node.kind = kind;
    node.at = position(mark);
    spend(1, node.at);
    check_tag(tag, node.at);
    open_.push_back(Open{.node = std::move(node), .anchor = anchor, .key = {}, .key_at = {}});
}

void TreeBuilder::close() {
    Open done = std::move(open_.back());
    open_.pop_back();
    place(std::move(done.node), done.anchor);
}

void TreeBuilder::place(Node node, YAML::anchor_t anchor) {
    if (anchor != 0) {
        // The copy costs as much as the original: nested anchors must not multiply.
        spend(node.count(), node.at);
        if (anchors_.size() <= anchor) {
            anchors_.resize(anchor + 1);
            known_.resize(anchor + 1);
        }
        anchors_[anchor] = node;
        known_[anchor] = true;
    }
    if (open_.empty()) {
        root_ = std::move(node);
        return;
    }
    Open& parent = open_.back();
    if (parent.node.is_sequence()) {
        parent.node.items.push_back(std::move(node));
        return;
    }
    if (!parent.has_key) {
        place_key(parent, node);
        return;
    }
    parent.has_key = false;
    if (parent.key_is_word) {
        parent.node.entries.push_back(Entry{std::move(parent.key), parent.key_at, std::move(node)});
    }
}

void TreeBuilder::place_key(Open& map, const Node& key) {
    map.has_key = true;
    map.key_is_word = key.is_scalar();
    map.key = key.text;
    map.key_at = key.at;
    if (!map.key_is_word) {
        const bool bracket = key.is_sequence();
        fail(key.at, path({}), "a key must be a word, found " + describe(key),
             bracket ? R"(an address in brackets needs quotes: "[::1]:8080")" : "");
    }
}

void TreeBuilder::finish_map(Node& map) {
    if (map.entries.size() > 1) {
        remove_duplicates(map);
    }
    if (map.find_entry(kMergeKey) != nullptr) {
        merge_into(map);
    }
}

void TreeBuilder::remove_duplicates(Node& map) {
    std::vector<const Entry*> sorted;
    sorted.reserve(map.entries.size());
    for (const auto& entry : map.entries) {
        sorted.push_back(&entry);
    }
    std::ranges::stable_sort(sorted, {}, &Entry::key);
    std::set<const Entry*> repeated;
    const Entry* first = sorted.front();
    for (const Entry* const entry : sorted) {
        if (entry == first || entry->key != first->key) {
            first = entry;
            continue;
        }
        fail(entry->at, path(entry->key), "duplicate key",
             "it is given already in line " + std::to_string(first->at.line));
        repeated.insert(entry);
    }
    if (!repeated.empty()) {
        std::erase_if(map.entries,
                      [&repeated](const Entry& entry) { return repeated.contains(&entry); });
    }
}

void TreeBuilder::merge_into(Node& map) {
    const auto found = std::ranges::find(map.entries, kMergeKey, &Entry::key);
    const Entry merge = std::move(*found);
    map.entries.erase(found);
    std::set<std::string, std::less<>> taken;
    for (const auto& entry : map.entries) {
        taken.insert(entry.key);
    }
    const auto take = [&](const Node& source) {
        if (!source.is_map()) {
            fail(merge.at, path(std::string(kMergeKey)),
                 "only maps can be merged, found " + describe(source), "an alias of a map: *name");
            return;
        }
        for (const auto& entry : source.entries) {
            if (taken.insert(entry.key).second) {
                spend(1 + entry.value.count(), merge.at);
                map.entries.push_back(entry);
            }
        }
    };
    if (merge.value.is_sequence()) {
        std::ranges::for_each(merge.value.items, take);
    } else {
        take(merge.value);
    }
}

void TreeBuilder::spend(std::size_t nodes, Position at) {
    spent_ += nodes;
    if (spent_ > kMostNodes) {
        throw TooManyNodes{at};
    }
}

void TreeBuilder::check_tag(const std::string& tag, Position at) {
    if (tag.empty() || tag == "?" || tag == "!" || tag.starts_with(kStandardTags)) {
        return;
    }
    fail(at, path({}), "the tag " + quoted(tag) + " means nothing here", "remove it");
}

void TreeBuilder::fail(Position at, std::string path, std::string message, std::string hint) {
    issues_.push_back(
        Issue{at.line, at.column, std::move(path), std::move(message), std::move(hint)});
}

std::string TreeBuilder::path(const std::string& last) const {
    std::string text;
    const auto add = [&text](const std::string& key) { text += text.empty() ? key : "." + key; };
    for (const auto& level : open_) {
        if (level.node.is_sequence()) {
            text += "[" + std::to_string(level.node.items.size()) + "]";
        } else if (level.has_key && level.key_is_word) {
            add(level.key);
        }
    }
    if (!last.empty()) {
        add(last);
    }
    return text;
}

}  // namespace rproxy::config
