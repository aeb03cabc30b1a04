#include "tls/certificate_choice.h"

#include "base/strings.h"

#include <algorithm>

namespace rproxy::tls {

namespace {

/// `.example.com` of `www.example.com`; empty where a wildcard could not stand.
std::string_view parent(std::string_view name) {
    const auto dot = name.find('.');
    return dot == std::string_view::npos || dot == 0 ? std::string_view{} : name.substr(dot);
}

/// Adds a candidate to a set that has none of its kind.
void add(CertificateChoice::Set& set, std::span<const CertificateChoice::Candidate> candidates,
         std::size_t index) {
    const bool has_kind = std::ranges::any_of(
        set, [&](std::size_t other) { return candidates[other].kind == candidates[index].kind; });
    if (!has_kind) {
        set.push_back(index);
    }
}

void add_all(CertificateChoice::Set& set, std::span<const CertificateChoice::Candidate> candidates,
             const CertificateChoice::Set& indexes) {
    for (const std::size_t index : indexes) {
        add(set, candidates, index);
    }
}

}  // namespace

CertificateChoice::CertificateChoice(std::span<const Candidate> candidates) {
    Names exact;
    Names wildcard;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        for (const std::string& name : candidates[i].names) {
            const bool any = name.starts_with("*.");
            add(any ? wildcard[name.substr(1)] : exact[name], candidates, i);
        }
    }
    for (auto& [name, set] : exact) {
        if (const auto covering = wildcard.find(parent(name)); covering != wildcard.end()) {
            add_all(set, candidates, covering->second);
        }
    }
    Set fallback{0};
    if (!candidates.empty() && !candidates.front().names.empty()) {
        const std::string& name = candidates.front().names.front();
        const bool any = name.starts_with("*.");
        add_all(fallback, candidates, any ? wildcard[name.substr(1)] : exact[name]);
    }
    sets_.push_back(std::move(fallback));
    for (const auto& [name, set] : exact) {
        exact_.emplace(name, index_of(set));
    }
    for (const auto& [name, set] : wildcard) {
        wildcard_.emplace(name, index_of(set));
    }
}

std::size_t CertificateChoice::index_of(const Set& set) {
    const auto found = std::ranges::find(sets_, set);
    if (found != sets_.end()) {
        return static_cast<std::size_t>(found - sets_.begin());
    }
    sets_.push_back(set);
    return sets_.size() - 1;
}

std::optional<std::size_t> CertificateChoice::look_up(std::string_view name) const {
    const std::string lower = to_lower(name);
    if (const auto found = exact_.find(lower); found != exact_.end()) {
        return found->second;
    }
    if (const auto found = wildcard_.find(parent(lower)); found != wildcard_.end()) {
        return found->second;
    }
    return std::nullopt;
}

std::size_t CertificateChoice::find(std::string_view name) const {
    return look_up(name).value_or(0);
}

}  // namespace rproxy::tls
