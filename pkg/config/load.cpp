#include "config/load.h"

#include "config/checks.h"
#include "config/document.h"
#include "config/reader.h"
#include "config/table.h"

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>

namespace rproxy::config {

namespace {

std::vector<std::string> short_keys() {
    std::vector<std::string> keys;
    for (const auto& key : pool_section().keys) {
        if (allowed_in_short_form(key.shape.key.name)) {
            keys.push_back(key.shape.key.name);
        }
    }
    return keys;
}

/// A key of the wrong side at the top of a file in the short form.
std::string misplaced_hint(std::string_view key) {
    if (key == "tls") {
        return "towards clients it belongs to listeners[], towards backends to pools.NAME";
    }
    auto known = snapshot_section().names();
    std::ranges::copy(short_keys(), std::back_inserter(known));
    return hint_for_unknown_key(key, known);
}

void read_short_pool(Reader& reader, const Node& root, Snapshot& snapshot) {
    Pool pool;
    pool.name = kShortPool;
    for (const auto& entry : root.entries) {
        if (allowed_in_short_form(entry.key)) {
            read_entry(reader, entry, pool, pool_section());
        }
    }
    if (root.find_entry("backends") == nullptr) {
        reader.fail(root.at, "neither 'backends' nor 'pools' is given",
                    "for example backends: [10.0.0.1:8080]");
    }
    snapshot.pools.push_back(std::move(pool));
}

void read_root(Reader& reader, const Node& root, Snapshot& snapshot) {
    const bool long_form = root.find_entry("pools") != nullptr;
    for (const auto& entry : root.entries) {
        const bool pool_key = allowed_in_short_form(entry.key);
        if (!pool_key && snapshot_section().find(entry.key) == nullptr) {
            const Reader::Scope scope(reader, entry.key);
            reader.fail(entry.at, "unknown key", misplaced_hint(entry.key));
        } else if (!pool_key) {
            read_entry(reader, entry, snapshot, snapshot_section());
        } else if (long_form) {
            const Reader::Scope scope(reader, entry.key);
            reader.fail(entry.at, "a pool's key beside 'pools'",
                        "write it as pools.NAME." + entry.key);
        }
    }
    if (!long_form) {
        read_short_pool(reader, root, snapshot);
    }
}

/// One pool needs no routes: it gets everything.
void default_routes(Reader& reader, const Node& root, Snapshot& snapshot) {
    const Entry* const routes = root.find_entry("routes");
    if (routes != nullptr && !routes->value.items.empty()) {
        return;
    }
    if (snapshot.pools.size() == 1) {
        snapshot.routes.push_back(Route{.host = {}, .path = "/", .pool = snapshot.pools[0].name});
    } else if (snapshot.pools.size() > 1 && (routes == nullptr || routes->value.is_sequence())) {
        reader.fail(root.find_entry("pools")->at,
                    std::to_string(snapshot.pools.size()) + " pools, but no routes",
                    "say which requests go where, for example routes: [{pool: " +
                        snapshot.pools[0].name + "}]");
    }
}

std::vector<Issue> in_order(std::vector<Issue> issues) {
    std::ranges::stable_sort(
        issues, {}, [](const Issue& issue) { return std::tuple(issue.line, issue.column); });
    if (issues.size() > kMostIssues) {
        const std::size_t more = issues.size() - kMostIssues;
        issues.resize(kMostIssues);
        issues.push_back(
            Issue{0, 0, {}, std::to_string(more) + " more errors", "put these right first"});
    }
    return issues;
}

/// Reads the key `name` into `snapshot` if it is there and nothing is wrong with it.
void read_if_valid(const Node& root, std::string_view name, Snapshot& snapshot) {
    std::vector<Issue> issues;
    Reader reader(issues);
    Snapshot read;
    if (const Entry* const entry = root.find_entry(name)) {
        read_entry(reader, *entry, read, snapshot_section());
        if (issues.empty()) {
            snapshot.listeners = name == "listeners" ? read.listeners : snapshot.listeners;
            snapshot.admin_address = name == "admin" ? read.admin_address : snapshot.admin_address;
        }
    }
}

}  // namespace

Snapshot salvage(std::string_view text) {
    std::vector<Issue> ignored;
    const Node root = parse_document(text, ignored);
    Snapshot snapshot;
    if (root.is_map()) {
        read_if_valid(root, "listeners", snapshot);
        read_if_valid(root, "admin", snapshot);
    }
    return snapshot;
}

std::expected<Snapshot, std::vector<Issue>> load(std::string_view text) {
    std::vector<Issue> issues;
    const Node root = parse_document(text, issues);
    if (root.is_null()) {
        if (issues.empty()) {
            issues.push_back(empty_file_issue());
        }
        return std::unexpected{in_order(std::move(issues))};
    }
    Reader reader(issues);
    if (!root.is_map()) {
        reader.fail(root.at, "found " + describe(root) + " where the keys of the file should be",
                    "write 'key: value' lines; a space follows the colon");
        return std::unexpected{in_order(std::move(issues))};
    }
    Snapshot snapshot;
    read_root(reader, root, snapshot);
    default_routes(reader, root, snapshot);
    check_relations(reader, root, snapshot);
    if (!issues.empty()) {
        return std::unexpected{in_order(std::move(issues))};
    }
    return snapshot;
}

}  // namespace rproxy::config
