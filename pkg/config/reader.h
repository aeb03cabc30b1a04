#pragma once

#include "config/issue.h"
#include "config/node.h"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rproxy::config {

/// Where the reading of a tree is, and where its issues go. Key paths are written only for issues:
/// a file of 10,000 backends without one builds none.
class Reader {
public:
    explicit Reader(std::vector<Issue>& issues) : issues_(issues) {}

    /// Adds a step to the key path for as long as it lives.
    class Scope {
    public:
        Scope(Reader& reader, std::string_view key) : reader_(reader) {
            reader_.steps_.push_back({key, 0});
        }
        Scope(Reader& reader, std::size_t index) : reader_(reader) {
            reader_.steps_.push_back({{}, index});
        }
        ~Scope() { reader_.steps_.pop_back(); }
        Scope(const Scope&) = delete;
        Scope& operator=(const Scope&) = delete;
        Scope(Scope&&) = delete;
        Scope& operator=(Scope&&) = delete;

    private:
        Reader& reader_;
    };

    void fail(Position at, std::string message, std::string hint = {});
    /// "found a list" for a value of the wrong type or form; `wanted` is what would be right.
    void fail_type(const Node& node, std::string_view wanted);
    /// Whether `node` is a map; reports if not.
    bool expect_map(const Node& node);
    void fail_unknown_key(const Entry& entry, std::span<const std::string> known);
    std::string path() const;

private:
    /// A key, or an index if the key is empty. Keys point into the tree.
    struct Step {
        std::string_view key;
        std::size_t index;
    };
    std::vector<Issue>& issues_;
    std::vector<Step> steps_;
};

}  // namespace rproxy::config
