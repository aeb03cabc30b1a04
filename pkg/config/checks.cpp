#include "config/checks.h"

#include "base/strings.h"
#include "config/hints.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rproxy::config {

namespace {

using Places = std::map<std::string, Position, std::less<>>;

std::string in_line(Position at) {
    return "in line " + std::to_string(at.line);
}

std::vector<std::string> pool_names(const Snapshot& snapshot) {
    std::vector<std::string> names;
    names.reserve(snapshot.pools.size());
    for (const auto& pool : snapshot.pools) {
        names.push_back(pool.name);
    }
    return names;
}

/// The position of a key's value in an item of a list, or of the item.
Position position_of(const Node& item, std::string_view key) {
    const Node* const value = item.find(key);
    return value == nullptr ? item.at : value->at;
}

/// The position of the key itself.
Position key_position(const Node& section, std::string_view key) {
    const Entry* const entry = section.find_entry(key);
    return entry == nullptr ? section.at : entry->at;
}

void check_hsts(Reader& reader, const Node& node, const Hsts& hsts) {
    constexpr Duration kYear = std::chrono::hours(24 * 365);
    if (hsts.preload && (!hsts.include_subdomains || hsts.max_age < kYear)) {
        const Reader::Scope scope(reader, "hsts");
        reader.fail(key_position(node, "preload"),
                    "'preload' is not accepted by browsers like this",
                    "add include_subdomains: true and a max_age of 365d or more");
    }
}

/// Fields that decide where a request goes and where it ends, or that are written anew for each.
constexpr auto kReservedFields = std::to_array<std::string_view>(
    {"connection", "content-length", "expect", "forwarded", "host", "keep-alive",
     "proxy-connection", "te", "trailer", "transfer-encoding", "traceparent", "upgrade",
     "x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto",
     "x-request-id"});

void check_subject_header(Reader& reader, const Node& node, const std::string& name) {
    std::string lower = to_lower(name);
    std::ranges::replace(lower, '_', '-');
    if (std::ranges::find(kReservedFields, lower) != kReservedFields.end()) {
        const Reader::Scope scope(reader, "client_subject_header");
        reader.fail(position_of(node, "client_subject_header"),
                    "'" + name + "' has a meaning of its own in requests",
                    "take a name that nothing else uses, such as X-Client-Subject");
    }
}

/// What the keys of one listener say together.
void check_listener_tls(Reader& reader, const Node& item, const Listener& listener) {
    const Node* const node = item.find("tls");
    if (listener.tls && listener.https_redirect) {
        const Reader::Scope scope(reader, "https_redirect");
        reader.fail(key_position(item, "https_redirect"), "a redirect to https beside 'tls'",
                    "it belongs to the listener that speaks plain HTTP");
    }
    if (node == nullptr || !listener.tls) {
        return;
    }
    const ListenerTls& tls = *listener.tls;
    const Reader::Scope scope(reader, "tls");
    if (tls.min_version > tls.max_version) {
        const Reader::Scope key_scope(reader, "min_version");
        reader.fail(position_of(*node, "min_version"), "newer than 'max_version'",
                    "no version would be left");
    }
    if (node->find_entry("client_auth") != nullptr && !tls.client_ca) {
        const Reader::Scope key_scope(reader, "client_auth");
        reader.fail(key_position(*node, "client_auth"), "'client_auth' without 'client_ca'",
                    "name the file of the authorities that sign client certificates");
    }
    check_subject_header(reader, *node, tls.client_subject_header);
    if (const Node* const hsts = node->find("hsts"); hsts != nullptr && tls.hsts) {
        check_hsts(reader, *hsts, *tls.hsts);
    }
}

void check_listeners(Reader& reader, const Node& root, const Snapshot& snapshot) {
    const Node* const list = root.find("listeners");
    if (list == nullptr || list->items.size() != snapshot.listeners.size()) {
        return;
    }
    const Reader::Scope scope(reader, "listeners");
    Places names;
    Places addresses;
    for (std::size_t i = 0; i < list->items.size(); ++i) {
        const Reader::Scope item_scope(reader, i);
        const Node& item = list->items[i];
        const Listener& listener = snapshot.listeners[i];
        const auto [name, new_name] = names.try_emplace(listener.name, item.at);
        if (!new_name) {
            const bool given = item.find("name") != nullptr;
            reader.fail(position_of(item, "name"),
                        "duplicate listener name " + quoted(listener.name) +
                            (given ? "" : " (the default)"),
                        "give each listener its own 'name'; it is taken " + in_line(name->second));
        }
        check_listener_tls(reader, item, listener);
        if (listener.address.port == 0 && !listener.address.is_unix()) {
            continue;  // each gets a free port of its own
        }
        const auto [address, new_address] =
            addresses.try_emplace(listener.address.to_string(), item.at);
        if (!new_address) {
            reader.fail(position_of(item, "address"),
                        "duplicate listener address " + quoted(listener.address.to_string()),
                        "it is taken " + in_line(address->second));
        }
    }
}

/// Names the pool that is not there, if a value names one at all.
void check_pool_exists(Reader& reader, const std::string& name, Position at,
                       const std::vector<std::string>& pools) {
    if (name.empty() || std::ranges::find(pools, name) != pools.end()) {
        return;
    }
    const Reader::Scope scope(reader, "pool");
    reader.fail(at, "there is no pool " + quoted(name), hint_for_unknown_word(name, pools));
}

void check_routes(Reader& reader, const Node& root, const Snapshot& snapshot) {
    const Node* const list = root.find("routes");
    if (list == nullptr || list->items.size() != snapshot.routes.size()) {
        return;
    }
    const auto pools = pool_names(snapshot);
    const Reader::Scope scope(reader, "routes");
    std::map<std::pair<std::string, std::string>, Position> seen;
    for (std::size_t i = 0; i < list->items.size(); ++i) {
        const Reader::Scope item_scope(reader, i);
        const Node& item = list->items[i];
        const Route& route = snapshot.routes[i];
        if (route.pool.empty()) {
            continue;  // not read: what it has of host and path may be defaults
        }
        check_pool_exists(reader, route.pool, position_of(item, "pool"), pools);
        const auto [first, is_new] = seen.try_emplace({route.host, route.path}, item.at);
        if (!is_new) {
            const std::string host = route.host.empty() ? "any host" : route.host;
            reader.fail(item.at, "duplicate route for " + host + " " + route.path,
                        "the first one wins always; it is " + in_line(first->second));
        }
    }
}

/// The pools that following when_all_down from `start` comes through, up to the first repeated.
std::vector<std::string> fallbacks_from(const Pool& start,
                                        const std::map<std::string, const Pool*>& pools) {
    std::vector<std::string> way;
    std::set<std::string> visited;
    const Pool* pool = &start;
    while (pool != nullptr) {
        way.push_back(pool->name);
        const bool is_new = visited.insert(pool->name).second;
        if (!is_new || pool->when_all_down.action != WhenAllDown::Action::UsePool) {
            break;
        }
        const auto next = pools.find(pool->when_all_down.pool);
        pool = next == pools.end() ? nullptr : next->second;
    }
    return way;
}

void check_fallback(Reader& reader, const Pool& pool, const Node& keys,
                    const std::map<std::string, const Pool*>& pools) {
    const Node* const node = keys.find("when_all_down");
    if (node == nullptr || pool.when_all_down.action != WhenAllDown::Action::UsePool) {
        return;
    }
    const Reader::Scope scope(reader, "when_all_down");
    std::vector<std::string> names;
    names.reserve(pools.size());
    for (const auto& [name, unused] : pools) {
        names.push_back(name);
    }
    check_pool_exists(reader, pool.when_all_down.pool, position_of(*node, "pool"), names);
    const auto way = fallbacks_from(pool, pools);
    if (way.size() < 2 || way.back() != pool.name) {
        return;  // no cycle, or one that is reported where it begins
    }
    std::string chain;
    for (const auto& name : way) {
        chain += (chain.empty() ? "" : " -> ") + name;
    }
    const Reader::Scope pool_scope(reader, "pool");
    reader.fail(position_of(*node, "pool"), "the pools replace each other in a circle: " + chain,
                "let one of them be try_anyway or fail");
}

void check_tls(Reader& reader, const Pool& pool, const Node& keys) {
    const Node* const node = keys.find("tls");
    if (node == nullptr || !pool.tls) {
        return;
    }
    const Reader::Scope scope(reader, "tls");
    const bool nameless = std::ranges::any_of(
        pool.backends, [](const Backend& backend) { return backend.address.is_unix(); });
    if (nameless && pool.tls->verify && pool.tls->server_name.empty()) {
        reader.fail(node->at, "a backend at a unix socket has no name that could be verified",
                    "say who it is: server_name: NAME");
    }
    if (pool.tls->cert.has_value() == pool.tls->key.has_value()) {
        return;
    }
    const bool has_cert = pool.tls->cert.has_value();
    reader.fail(node->at, has_cert ? "'cert' without 'key'" : "'key' without 'cert'",
                "a client certificate needs both");
}

void check_pools(Reader& reader, const Node& root, const Snapshot& snapshot) {
    std::map<std::string, const Pool*> pools;
    for (const auto& pool : snapshot.pools) {
        pools.emplace(pool.name, &pool);
    }
    const Node* const map = root.find("pools");
    if (map == nullptr) {
        // The short form: the keys of the only pool are the file's.
        for (const auto& pool : snapshot.pools) {
            check_fallback(reader, pool, root, pools);
        }
        return;
    }
    const Reader::Scope scope(reader, "pools");
    for (const auto& pool : snapshot.pools) {
        const Reader::Scope pool_scope(reader, pool.name);
        if (const Node* const keys = map->find(pool.name)) {
            check_fallback(reader, pool, *keys, pools);
            check_tls(reader, pool, *keys);
        }
    }
}

}  // namespace

void check_relations(Reader& reader, const Node& root, const Snapshot& snapshot) {
    check_listeners(reader, root, snapshot);
    check_pools(reader, root, snapshot);
    check_routes(reader, root, snapshot);
}

}  // namespace rproxy::config
