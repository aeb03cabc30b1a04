#pragma once

#include "config/node.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/mark.h>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace rproxy::config {

/// Thrown out of the YAML parser when a document expands beyond kMostNodes; caught in
/// parse_document.
struct TooManyNodes {
    Position at;
};

/// Builds the tree from the parser's events. It works on events because YAML::Node hides duplicate
/// keys and positions of keys, and expands nothing until it is too late to count.
class TreeBuilder final : public YAML::EventHandler {
public:
    explicit TreeBuilder(std::vector<Issue>& issues) : issues_(issues) {}
    Node take_root() { return std::move(root_); }
    /// Where the last scalar of the document begins; line 0 if there is none.
    Position last_scalar() const { return last_scalar_; }

    void OnDocumentStart(const YAML::Mark& mark) override;
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override;
    void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override;
    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  const std::string& value) override;
    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value style) override;
    void OnSequenceEnd() override;
    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value style) override;
    void OnMapEnd() override;

private:
    /// A sequence or map that is not complete yet.
    struct Open {
        Node node;
        YAML::anchor_t anchor;
        bool has_key{false};  ///< Of a map: `key` waits for its value.
        bool key_is_word{true};
        std::string key;
        Position key_at;
    };

    void open(Node::Kind kind, const YAML::Mark& mark, const std::string& tag,
              YAML::anchor_t anchor);
    void close();
    /// Puts a complete value where the innermost open node wants it.
    void place(Node node, YAML::anchor_t anchor);
    void place_key(Open& map, const Node& key);
    void finish_map(Node& map);
    void remove_duplicates(Node& map);
    void merge_into(Node& map);
    void spend(std::size_t nodes, Position at);
    void check_tag(const std::string& tag, Position at);
    void fail(Position at, std::string path, std::string message, std::string hint);
    /// The key path of what is being read, with `last` added if not empty.
    std::string path(const std::string& last) const;

    std::vector<Issue>& issues_;
    std::vector<Open> open_;
    std::vector<Node> anchors_;  ///< By the parser's number, from 1; Null while not complete.
    std::vector<bool> known_;    ///< Which of anchors_ are complete.
    std::size_t spent_{0};
    Position last_scalar_;
    Node root_;
};

}  // namespace rproxy::config
