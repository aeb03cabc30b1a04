#include "config/reader.h"

#include "config/hints.h"

#include <utility>

namespace rproxy::config {

void Reader::fail(Position at, std::string message, std::string hint) {
    issues_.push_back(Issue{at.line, at.column, path(), std::move(message), std::move(hint)});
}

void Reader::fail_type(const Node& node, std::string_view wanted) {
    fail(node.at, "found " + describe(node), "expected " + std::string(wanted));
}

bool Reader::expect_map(const Node& node) {
    if (!node.is_map()) {
        fail_type(node, "a map of keys and values");
    }
    return node.is_map();
}

void Reader::fail_unknown_key(const Entry& entry, std::span<const std::string> known) {
    const Scope scope(*this, entry.key);
    fail(entry.at, "unknown key", hint_for_unknown_key(entry.key, known));
}

std::string Reader::path() const {
    std::string text;
    for (const auto& step : steps_) {
        if (step.key.empty()) {
            text += "[" + std::to_string(step.index) + "]";
        } else {
            text += (text.empty() ? "" : ".") + std::string(step.key);
        }
    }
    return text;
}

}  // namespace rproxy::config
