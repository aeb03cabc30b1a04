#include "routing/route_table.h"

#include "base/strings.h"
#include "http/syntax.h"

#include <algorithm>
#include <array>

namespace rproxy::routing {

namespace {

bool is_prefix(std::string_view prefix, std::string_view path) {
    if (!path.starts_with(prefix)) {
        return false;
    }
    return prefix.ends_with('/') || path.size() == prefix.size() || path[prefix.size()] == '/';
}

}  // namespace

RouteTable::RouteTable(std::span<const config::Route> routes, std::span<const config::Pool> pools) {
    for (const auto& route : routes) {
        const auto pool = std::ranges::find(pools, route.pool, &config::Pool::name);
        if (pool == pools.end()) {
            continue;
        }
        Entries& entries = route.host.empty() ? any_host_ : by_host_[to_lower(route.host)];
        entries.push_back({route.path, static_cast<std::uint32_t>(pool - pools.begin())});
    }
    const auto longest_first = [](Entries& entries) {
        std::ranges::stable_sort(entries, std::greater{},
                                 [](const Entry& entry) { return entry.path.size(); });
    };
    longest_first(any_host_);
    for (auto& [host, entries] : by_host_) {
        longest_first(entries);
    }
}

const RouteTable::Entry* RouteTable::match(const Entries& entries, std::string_view path) {
    for (const Entry& entry : entries) {
        if (is_prefix(entry.path, path)) {
            return &entry;
        }
    }
    return nullptr;
}

const RouteTable::Entries* RouteTable::entries_for(std::string_view host) const {
    if (by_host_.empty()) {
        return nullptr;
    }
    const auto name = http::host_without_port(host);
    // A lower-case copy on the stack: nothing is allocated for a request.
    std::array<char, 256> lower{};
    if (name.size() > lower.size()) {
        return nullptr;
    }
    std::ranges::transform(name, lower.begin(), ascii_lower);
    const auto found = by_host_.find(std::string_view(lower.data(), name.size()));
    return found == by_host_.end() ? nullptr : &found->second;
}

const RouteTable::Entry* RouteTable::find_entry(const Entries* of_host,
                                                std::string_view path) const {
    const Entry* const entry = of_host == nullptr ? nullptr : match(*of_host, path);
    return entry != nullptr ? entry : match(any_host_, path);
}

std::optional<std::uint32_t> RouteTable::find(std::string_view host, std::string_view path) const {
    const Entry* const entry = find_entry(entries_for(host), path);
    return entry == nullptr ? std::nullopt : std::optional(entry->pool);
}

std::vector<RouteTable::Considered> RouteTable::explain(std::string_view host,
                                                        std::string_view path) const {
    const Entries* const of_host = entries_for(host);
    const Entry* const winner = find_entry(of_host, path);
    std::vector<Considered> considered;
    const auto add = [&](const std::string& name, const Entries& entries, bool serves) {
        for (const Entry& entry : entries) {
            auto verdict = Verdict::Outranked;
            if (&entry == winner) {
                verdict = Verdict::Matched;
            } else if (!serves) {
                verdict = Verdict::OtherHost;
            } else if (!is_prefix(entry.path, path)) {
                verdict = Verdict::OtherPath;
            }
            considered.push_back({name, entry.path, entry.pool, verdict});
        }
    };
    std::vector<std::pair<std::string, const Entries*>> others;
    for (const auto& [name, entries] : by_host_) {
        if (&entries == of_host) {
            add(name, entries, true);
        } else {
            others.emplace_back(name, &entries);
        }
    }
    add({}, any_host_, true);
    std::ranges::sort(others);
    for (const auto& [name, entries] : others) {
        add(name, *entries, false);
    }
    return considered;
}

}  // namespace rproxy::routing
