#include "control/backend_names.h"

#include "log/log.h"

#include <algorithm>
#include <utility>

namespace rproxy::control {

namespace {

/// The least time between two look-ups of a name, and the most after a failed one.
constexpr Duration kSoonest{1'000};
constexpr Duration kLatestAfterFailure{5'000};

}  // namespace

void BackendNames::watch(const std::vector<const config::Snapshot*>& snapshots) {
    std::map<std::string, Name> wanted;
    for (const auto* const snapshot : snapshots) {
        for (const auto& pool : snapshot->pools) {
            for (const auto& backend : pool.backends) {
                if (backend.address.is_unix() || backend.address.ip()) {
                    continue;
                }
                const auto [name, is_new] = wanted.try_emplace(backend.address.host);
                if (is_new) {
                    if (const auto known = names_.find(name->first); known != names_.end()) {
                        name->second = std::move(known->second);
                    }
                    name->second.interval = pool.resolve_interval;
                }
                name->second.interval = std::min(name->second.interval, pool.resolve_interval);
            }
        }
    }
    names_ = std::move(wanted);
}

void BackendNames::look_up_due() {
    auto next = MonotonicTime::max();
    for (auto& [host, name] : names_) {
        if (!name.under_way && name.next <= loop_.now()) {
            name.under_way = true;
            name.last = loop_.now();
            resolver_.resolve(host, [this, host](net::Resolver::Result result) {
                ended(host, std::move(result));
            });
        }
        next = std::min(next, name.under_way ? MonotonicTime::max() : name.next);
    }
    if (next != MonotonicTime::max()) {
        loop_.arm(timer_, next);
    }
}

void BackendNames::look_up_again(const IpAddress& unreachable) {
    for (auto& [host, name] : names_) {
        if (std::ranges::find(name.known.addresses, unreachable) != name.known.addresses.end()) {
            name.next = std::min<MonotonicTime>(name.next, name.last + kSoonest);
        }
    }
    look_up_due();
}

void BackendNames::ended(const std::string& host, net::Resolver::Result result) {
    const auto found = names_.find(host);
    if (found == names_.end()) {
        return;
    }
    Name& name = found->second;
    LookUp& known = name.known;
    name.under_way = false;
    known.at = loop_.wall_now();
    const bool failed_before = !known.error.empty();
    if (!result || result->empty()) {
        // The last good answer stays: DNS trouble must not take backends away that still serve.
        known.error = result ? std::string("no addresses") : result.error();
        name.next = loop_.now() + std::clamp(name.interval, kSoonest, kLatestAfterFailure);
        listener_.on_failure(host, known, !failed_before);
    } else {
        known.error.clear();
        name.next = loop_.now() + name.interval;
        std::ranges::sort(*result);  // resolvers shuffle; the same set is no change
        const bool changed = std::exchange(known.addresses, *result) != *result;
        if (failed_before) {
            listener_.on_recovery(host, known);
        }
        if (changed) {
            log::info("backend name resolved", "host", host, "addresses", result->size());
            listener_.on_change();
        }
    }
    look_up_due();
}

const BackendNames::LookUp& BackendNames::find(const std::string& host) const {
    static const LookUp kNothing;
    const auto found = names_.find(host);
    return found == names_.end() ? kNothing : found->second.known;
}

bool BackendNames::all_looked_up() const {
    return std::ranges::all_of(names_,
                               [](const auto& entry) { return entry.second.known.at.has_value(); });
}

}  // namespace rproxy::control
