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

std::optional<std::uint32_t> RouteTable::match(const Entries& entries, std::string_view path) {
    for (const Entry& entry : entries) {
        if (is_prefix(entry.path, path)) {
            return entry.pool;
        }
    }
    return std::nullopt;
}

std::optional<std::uint32_t> RouteTable::find(std::string_view host, std::string_view path) const {
    if (!by_host_.empty()) {
        const auto name = http::host_without_port(host);
        // A lower-case copy on the stack: nothing is allocated for a request.
        std::array<char, 256> lower{};
        if (name.size() <= lower.size()) {
            std::ranges::transform(name, lower.begin(), ascii_lower);
            const auto found = by_host_.find(std::string_view(lower.data(), name.size()));
            if (found != by_host_.end()) {
                if (const auto pool = match(found->second, path)) {
                    return pool;
                }
            }
        }
    }
    return match(any_host_, path);
}

}  // namespace rproxy::routing
