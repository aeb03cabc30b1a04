#include "config/hints.h"

#include "base/strings.h"
#include "config/shape.h"
#include "config/table.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <vector>

namespace rproxy::config {

namespace {

using Words = std::pair<std::string_view, std::string_view>;

/// What nginx, HAProxy, Envoy, Traefik and Caddy call it, and what it is called here.
constexpr std::array<Words, 30> kElsewhere{{{"servers", "backends"},
                                            {"server", "backends"},
                                            {"endpoints", "backends"},
                                            {"targets", "backends"},
                                            {"hosts", "backends"},
                                            {"algorithm", "method"},
                                            {"balance", "method"},
                                            {"lb_policy", "method"},
                                            {"strategy", "method"},
                                            {"listen", "listeners"},
                                            {"bind", "listeners"},
                                            {"entrypoints", "listeners"},
                                            {"clusters", "pools"},
                                            {"services", "pools"},
                                            {"check", "health_check"},
                                            {"healthcheck", "health_check"},
                                            {"retries", "retry"},
                                            {"url", "address"},
                                            {"uri", "path"},
                                            {"prefix", "path"},
                                            {"service", "pool"},
                                            {"backend", "pool"},
                                            {"maxconn", "max_connections"},
                                            {"max_conns", "max_connections"},
                                            {"max_fails", "fall"},
                                            {"outlier_detection", "outlier"},
                                            {"slowstart", "slow_start"},
                                            {"stickiness", "sticky"},
                                            {"logging", "log"},
                                            {"certificate", "certificates"}}};

constexpr std::array<Words, 16> kMethodsElsewhere{{{"rr", "round_robin"},
                                                   {"wrr", "round_robin"},
                                                   {"static_rr", "round_robin"},
                                                   {"least_conn", "least_connections"},
                                                   {"leastconn", "least_connections"},
                                                   {"least_request", "least_connections"},
                                                   {"lc", "least_connections"},
                                                   {"source", "ip_hash"},
                                                   {"source_ip", "ip_hash"},
                                                   {"p2c", "power_of_two"},
                                                   {"two_random_choices", "power_of_two"},
                                                   {"ewma", "peak_ewma"},
                                                   {"ring_hash", "consistent_hash"},
                                                   {"maglev", "consistent_hash"},
                                                   {"hash", "consistent_hash"},
                                                   {"warning", "warn"}}};

std::optional<std::string> translate(std::string_view word, std::span<const Words> table,
                                     std::span<const std::string> known) {
    for (const auto& [theirs, ours] : table) {
        if (equals_ignoring_case(word, theirs) && std::ranges::find(known, ours) != known.end()) {
            return std::string(ours);
        }
    }
    return std::nullopt;
}

/// The key paths of the whole table that end in `key`.
void find_places(const Shape& shape, const std::string& path, std::string_view key,
                 std::vector<std::string>& places) {
    for (const auto& part : shape.parts) {
        std::string part_path = path;
        if (shape.kind == Shape::Kind::Section) {
            part_path += (path.empty() ? "" : ".") + part.key.name;
            if (part.key.name == key) {
                places.push_back(part_path);
            }
        } else if (shape.kind == Shape::Kind::List) {
            part_path += "[]";
        } else if (shape.kind == Shape::Kind::Named) {
            part_path += ".NAME";
        }
        find_places(part, part_path, key, places);
    }
}

}  // namespace

std::string any_of(std::span<const std::string> words) {
    std::string text;
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (i != 0) {
            text += i + 1 == words.size() ? " or " : ", ";
        }
        text += words[i];
    }
    return text;
}

std::string hint_for_unknown_key(std::string_view key, std::span<const std::string> known) {
    if (const auto ours = translate(key, kElsewhere, known)) {
        return "did you mean '" + *ours + "'?";
    }
    if (const auto nearest = nearest_word(key, known)) {
        return "did you mean '" + *nearest + "'?";
    }
    if (key == "true" && std::ranges::find(known, "on") != known.end()) {
        return R"(a tool read a bare 'on' as a boolean: write the key in quotes, "on")";
    }
    std::vector<std::string> places;
    find_places(snapshot_shape(), "", key, places);
    constexpr std::size_t kFewPlaces = 3;
    if (!places.empty() && places.size() <= kFewPlaces) {
        return "it belongs to " + any_of(places);
    }
    return "allowed here: " + any_of(known);
}

std::string hint_for_unknown_word(std::string_view word, std::span<const std::string> known) {
    auto meant = translate(word, kMethodsElsewhere, known);
    if (!meant) {
        meant = nearest_word(word, known);
    }
    if (meant) {
        return "did you mean '" + *meant + "'?";
    }
    constexpr std::size_t kFewWords = 20;
    return "one of " + any_of(known.first(std::min(known.size(), kFewWords)));
}

}  // namespace rproxy::config
