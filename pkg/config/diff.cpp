#include "config/diff.h"

#include "config/table.h"
#include "config/yaml_writer.h"

#include <map>
#include <string_view>
#include <utility>

namespace rproxy::config {

namespace {

using Changes = std::vector<std::string>;

/// The admin port is bound once.
constexpr std::string_view kNotLive = "admin";

/// `2 backends`.
std::string counted(std::size_t count, std::string_view noun) {
    return std::to_string(count) + " " + std::string(noun) + (count == 1 ? "" : "s");
}

std::string value_text(const Node* node) {
    return node == nullptr || node->is_null() ? "unset" : yaml_flow(*node);
}

/// Adds one sentence for each value that differs between two maps of the same section.
void compare_values(const std::string& prefix, const std::string& path, const Node& before,
                    const Node& after, Changes& changes) {
    const auto compare = [&](const std::string& key, const Node* old_value, const Node* new_value) {
        const std::string child = path.empty() ? key : path + "." + key;
        if (old_value != nullptr && new_value != nullptr) {
            if (same(*old_value, *new_value)) {
                return;
            }
            if (old_value->is_map() && new_value->is_map()) {
                compare_values(prefix, child, *old_value, *new_value, changes);
                return;
            }
        }
        std::string text = prefix + child + " ";
        text += value_text(old_value) + " -> ";
        text += value_text(new_value);
        if (child.starts_with(kNotLive)) {
            text += " (not live: takes effect at the next start)";
        }
        changes.push_back(std::move(text));
    };
    for (const auto& entry : before.entries) {
        compare(entry.key, &entry.value, after.find(entry.key));
    }
    for (const auto& entry : after.entries) {
        if (before.find_entry(entry.key) == nullptr) {
            compare(entry.key, nullptr, &entry.value);
        }
    }
}

/// Calls `gone` for what only `before` has, then `both` and `fresh` in the order of `after`.
template <typename T, typename KeyOf, typename Gone, typename Both, typename Fresh>
void match(const std::vector<T>& before, const std::vector<T>& after, KeyOf key_of, Gone gone,
           Both both, Fresh fresh) {
    using Id = decltype(key_of(before.front()));
    std::map<Id, const T*> old_ones;
    std::map<Id, const T*> new_ones;
    for (const auto& one : before) {
        old_ones.emplace(key_of(one), &one);
    }
    for (const auto& one : after) {
        new_ones.emplace(key_of(one), &one);
    }
    for (const auto& one : before) {
        if (!new_ones.contains(key_of(one))) {
            gone(one);
        }
    }
    for (const auto& one : after) {
        const auto old_one = old_ones.find(key_of(one));
        if (old_one == old_ones.end()) {
            fresh(one);
        } else if (!(*old_one->second == one)) {
            both(*old_one->second, one);
        }
    }
}

void compare_listeners(const Snapshot& before, const Snapshot& after, Changes& changes) {
    const auto name = [](const Listener& listener) { return "listener " + listener.name; };
    match(
        before.listeners, after.listeners, [](const Listener& listener) { return listener.name; },
        [&](const Listener& gone) {
            changes.push_back(name(gone) + " removed: " + gone.address.to_string() +
                              " accepts no new connections, open ones stay");
        },
        [&](const Listener& old_one, const Listener& new_one) {
            if (old_one.address != new_one.address) {
                changes.push_back(name(new_one) + ": address " + old_one.address.to_string() +
                                  " -> " + new_one.address.to_string() +
                                  " (re-bound; open connections stay)");
            }
            Node old_node = write_section(old_one, listener_section());
            Node new_node = write_section(new_one, listener_section());
            old_node.erase("address");
            new_node.erase("address");
            compare_values(name(new_one) + ": ", "", old_node, new_node, changes);
        },
        [&](const Listener& fresh) {
            changes.push_back(name(fresh) + " added on " + fresh.address.to_string());
        });
}

/// `10.0.0.1:8080`, or `big (10.0.0.1:8080)` if it is named.
std::string backend_text(const Backend& backend) {
    const std::string address = backend.address.to_string();
    return "backend " + (backend.name == address ? address : backend.name + " (" + address + ")");
}

void compare_backends(const std::string& prefix, const Pool& before, const Pool& after,
                      Changes& changes) {
    match(
        before.backends, after.backends, [](const Backend& backend) { return backend.address; },
        [&](const Backend& gone) {
            changes.push_back(prefix + backend_text(gone) +
                              " removed: finishes its requests, then its connections close");
        },
        [&](const Backend& old_one, const Backend& new_one) {
            const std::string subject = prefix + backend_text(old_one);
            if (old_one.state != AdminState::Drain && new_one.state == AdminState::Drain) {
                changes.push_back(subject + " drains: finishes its requests, gets no new ones");
            }
            compare_values(subject + ": ", "", write_section(old_one, backend_section()),
                           write_section(new_one, backend_section()), changes);
        },
        [&](const Backend& fresh) { changes.push_back(prefix + backend_text(fresh) + " added"); });
}

/// Without the backends, of which there may be thousands to write.
Node pool_settings(Pool pool) {
    pool.backends.clear();
    Node node = write_section(pool, pool_section());
    node.erase("backends");
    return node;
}

void compare_pools(const Snapshot& before, const Snapshot& after, Changes& changes) {
    match(
        before.pools, after.pools, [](const Pool& pool) { return pool.name; },
        [&](const Pool& gone) {
            changes.push_back("pool " + gone.name + " removed: its " +
                              counted(gone.backends.size(), "backend") +
                              " finish their requests, then their connections close");
        },
        [&](const Pool& old_one, const Pool& new_one) {
            const std::string prefix = "pool " + new_one.name + ": ";
            compare_backends(prefix, old_one, new_one, changes);
            compare_values(prefix, "", pool_settings(old_one), pool_settings(new_one), changes);
        },
        [&](const Pool& fresh) {
            changes.push_back("pool " + fresh.name + " added with " +
                              counted(fresh.backends.size(), "backend"));
        });
}

/// `example.com/api`; `*` for any host.
std::string route_text(const Route& route) {
    return "route " + (route.host.empty() ? "*" : route.host) + route.path;
}

void compare_routes(const Snapshot& before, const Snapshot& after, Changes& changes) {
    match(
        before.routes, after.routes,
        [](const Route& route) { return std::pair(route.host, route.path); },
        [&](const Route& gone) {
            changes.push_back(route_text(gone) + " removed (was to pool " + gone.pool + ")");
        },
        [&](const Route& old_one, const Route& new_one) {
            changes.push_back(route_text(new_one) + ": now to pool " + new_one.pool +
                              " (was to pool " + old_one.pool + ")");
        },
        [&](const Route& fresh) {
            changes.push_back(route_text(fresh) + " added: to pool " + fresh.pool);
        });
}

Node global_settings(Snapshot snapshot) {
    snapshot.listeners.clear();
    snapshot.pools.clear();
    snapshot.routes.clear();
    Node node = write_section(snapshot, snapshot_section());
    for (const auto* const key : {"listeners", "pools", "routes"}) {
        node.erase(key);
    }
    return node;
}

}  // namespace

std::vector<std::string> plan(const Snapshot& before, const Snapshot& after) {
    Changes changes;
    compare_listeners(before, after, changes);
    compare_pools(before, after, changes);
    compare_routes(before, after, changes);
    compare_values("", "", global_settings(before), global_settings(after), changes);
    return changes;
}

}  // namespace rproxy::config
