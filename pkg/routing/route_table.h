#pragma once

#include "config/snapshot.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace rproxy::routing {

/// Which pool serves a host and path: first by exact host, then the longest path prefix, whole
/// segments only (`/api` takes `/api` and `/api/x`, not `/apix`). Routes without a host serve what
/// no host's routes match. Immutable; any thread.
class RouteTable {
public:
    RouteTable() = default;
    /// `routes` name pools by their position in `pools`; every pool exists (config::load checked).
    RouteTable(std::span<const config::Route> routes, std::span<const config::Pool> pools);

    /// The pool's index, or nothing. `host` may have a port and any case; `path` is normalised.
    std::optional<std::uint32_t> find(std::string_view host, std::string_view path) const;

    enum class Verdict : std::uint8_t {
        Matched,    ///< What find() returns.
        OtherHost,  ///< For another host.
        OtherPath,  ///< Its path is no prefix of this one.
        Outranked,  ///< It matches, but one for this host or with a longer path comes first.
    };
    struct Considered {
        std::string host;  ///< Lower case; empty: any.
        std::string path;
        std::uint32_t pool{0};
        Verdict verdict{Verdict::Matched};
    };
    /// Every route and what find() makes of it, in the order in which they are looked at; those for
    /// other hosts last. For people; allocates.
    std::vector<Considered> explain(std::string_view host, std::string_view path) const;

private:
    struct Entry {
        std::string path;
        std::uint32_t pool;
    };
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const {
            return std::hash<std::string_view>{}(text);
        }
    };
    using Entries = std::vector<Entry>;  // longest path first

    static const Entry* match(const Entries& entries, std::string_view path);
    const Entries* entries_for(std::string_view host) const;
    const Entry* find_entry(const Entries* of_host, std::string_view path) const;

    std::unordered_map<std::string, Entries, Hash, std::equal_to<>> by_host_;
    Entries any_host_;
};

}  // namespace rproxy::routing
