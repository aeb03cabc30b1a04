#include "admin/explain.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace rproxy::admin {

namespace {

using Json = nlohmann::ordered_json;

std::string_view to_words(routing::RouteTable::Verdict verdict) {
    using Verdict = routing::RouteTable::Verdict;
    switch (verdict) {
        case Verdict::Matched:
            return "matched";
        case Verdict::OtherHost:
            return "other host";
        case Verdict::OtherPath:
            return "other path";
        case Verdict::Outranked:
            return "outranked by one for this host or with a longer path";
    }
    return "";
}

Json candidate_json(const Candidate& candidate) {
    return {{"backend", candidate.name},
            {"address", candidate.address},
            {"state", candidate.state},
            {"offered", candidate.offered},
            {"why", candidate.why},
            {"weight", candidate.weight},
            {"effective_weight", candidate.effective_weight},
            {"in_flight", candidate.in_flight},
            {"max_connections", candidate.max_connections},
            {"score", candidate.score ? Json(*candidate.score) : Json(nullptr)},
            {"chance", candidate.chance}};
}

Json name_or_null(const std::string& name) {
    return name.empty() ? Json(nullptr) : Json(name);
}

/// Columns as wide as their widest cell, two spaces between them, nothing at the end of a line.
class Table {
public:
    void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
    std::string text(std::string_view indent) const {
        std::vector<std::size_t> widths;
        for (const auto& row : rows_) {
            widths.resize(std::max(widths.size(), row.size()));
            for (std::size_t i = 0; i < row.size(); ++i) {
                widths[i] = std::max(widths[i], row[i].size());
            }
        }
        std::string out;
        for (const auto& row : rows_) {
            std::string line(indent);
            for (std::size_t i = 0; i < row.size(); ++i) {
                line += row[i] + std::string(widths[i] - row[i].size() + 2, ' ');
            }
            out += line.substr(0, line.find_last_not_of(' ') + 1) + '\n';
        }
        return out;
    }

private:
    std::vector<std::vector<std::string>> rows_;
};

std::string number(double value) {
    std::array<char, 32> text{};
    // Whole numbers whole, others to four digits.
    const bool whole = value == std::floor(value) && std::abs(value) < 1e15;
    const int size = std::snprintf(text.data(), text.size(), whole ? "%.0f" : "%.4g", value);
    return {text.data(), static_cast<std::size_t>(size)};
}

std::string percent(double share) {
    if (share == 0) {
        return "-";
    }
    if (share == 1) {
        return "100%";
    }
    std::array<char, 32> text{};
    const int size = std::snprintf(text.data(), text.size(), "%.1f%%", share * 100);
    return {text.data(), static_cast<std::size_t>(size)};
}

std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const auto& word : words) {
        text += (text.empty() ? "" : "; ") + word;
    }
    return text;
}

std::string request_line(const Explanation& explanation) {
    const auto& question = explanation.question;
    std::string line = question.method + " ";
    line += question.host.empty() ? question.path : "http://" + question.host + question.path;
    line += " from " + explanation.client;
    if (explanation.client != question.peer) {
        line += " (behind the trusted proxy " + question.peer + ")";
    }
    line += ", generation " + std::to_string(explanation.generation) + "\n";
    if (explanation.trial_share > 0) {
        line += "(" + percent(explanation.trial_share) +
                " of the requests go by a configuration on trial, which is not asked here)\n";
    }
    return line;
}

std::string routes_text(const Explanation& explanation) {
    if (explanation.routes.empty()) {
        return {};
    }
    Table table;
    table.add({"HOST", "PATH", "POOL", "ROUTE"});
    for (const auto& step : explanation.routes) {
        table.add({step.host.empty() ? "*" : step.host, step.path, step.pool,
                   std::string(to_words(step.verdict))});
    }
    return "\n" + table.text("  ");
}

std::string pool_text(const Explanation& explanation) {
    std::string text = "\npool " + explanation.pool;
    if (!explanation.fallback_from.empty()) {
        text += ", since all of pool " + explanation.fallback_from + " are down";
    }
    if (explanation.candidates.empty()) {
        return text + "\n";
    }
    text += ": " + std::string(balancing::to_string(explanation.method));
    if (explanation.selection == "connection") {
        text += ", one choice for each client connection (this is a new one's)";
    } else if (explanation.selection == "interval") {
        text += ", one choice for all until the interval ends";
    }
    text += "\n  score: " + std::string(explanation.measure) + "\n";
    if (!explanation.hashed_by.empty()) {
        text += "  hashed by: " + explanation.hashed_by + "\n";
    }
    if (const auto& sticky = explanation.sticky) {
        text += "  cookie " + sticky->cookie;
        text += sticky->backend.empty() ? ": " : " names " + sticky->backend + ": ";
        text += sticky->why + "\n";
    }
    if (explanation.fail_open) {
        text += "  nothing is up: those that are down are tried anyway\n";
    }
    return text;
}

std::string candidates_text(const Explanation& explanation) {
    if (explanation.candidates.empty()) {
        return {};
    }
    Table table;
    table.add({"", "BACKEND", "STATE", "WEIGHT", "IN FLIGHT", "SCORE", "CHANCE", "WHY"});
    for (std::size_t i = 0; i < explanation.candidates.size(); ++i) {
        const Candidate& candidate = explanation.candidates[i];
        std::string weight = number(candidate.effective_weight);
        if (candidate.effective_weight != candidate.weight) {
            weight += " of " + std::to_string(candidate.weight);
        }
        std::string in_flight = std::to_string(candidate.in_flight);
        if (candidate.max_connections != 0) {
            in_flight += " of " + std::to_string(candidate.max_connections);
        }
        table.add({explanation.pick == i ? ">" : "", candidate.name, std::string(candidate.state),
                   weight, in_flight, candidate.score ? number(*candidate.score) : "-",
                   percent(candidate.chance), joined(candidate.why)});
    }
    return "\n" + table.text("  ");
}

}  // namespace

std::string explain_json(const Explanation& explanation) {
    const auto& question = explanation.question;
    auto routes = Json::array();
    for (const auto& step : explanation.routes) {
        routes.push_back({{"host", step.host.empty() ? "*" : step.host},
                          {"path", step.path},
                          {"pool", step.pool},
                          {"matched", step.verdict == routing::RouteTable::Verdict::Matched},
                          {"why", to_words(step.verdict)}});
    }
    auto candidates = Json::array();
    for (const auto& candidate : explanation.candidates) {
        candidates.push_back(candidate_json(candidate));
    }
    Json sticky = nullptr;
    if (explanation.sticky) {
        sticky = {{"cookie", explanation.sticky->cookie},
                  {"backend", name_or_null(explanation.sticky->backend)},
                  {"followed", explanation.sticky->followed},
                  {"why", explanation.sticky->why}};
    }
    Json pick = nullptr;
    if (explanation.pick) {
        const Candidate& picked = explanation.candidates[*explanation.pick];
        pick = {{"backend", picked.name}, {"address", picked.address}};
    }
    Json answer = nullptr;
    if (explanation.reason != http::Reason::None) {
        const auto& info = http::info(explanation.reason);
        answer = {{"status", info.status}, {"reason", info.code}};
    }
    Json json{{"request",
               {{"method", question.method},
                {"host", question.host},
                {"path", question.path},
                {"routed_path", explanation.routed_path},
                {"peer", question.peer},
                {"client", explanation.client}}},
              {"generation", explanation.generation},
              {"trial_share", explanation.trial_share},
              {"routes", routes},
              {"pool", name_or_null(explanation.pool)},
              {"fallback_from", name_or_null(explanation.fallback_from)}};
    if (!explanation.candidates.empty()) {
        json["method"] = balancing::to_string(explanation.method);
        json["selection"] = explanation.selection;
        json["hashed_by"] = name_or_null(explanation.hashed_by);
        json["all_down"] = explanation.all_down;
        json["fail_open"] = explanation.fail_open;
        json["sticky"] = sticky;
        json["score"] = explanation.measure;
    }
    json["candidates"] = candidates;
    json["decided_by"] =
        explanation.candidates.empty() ? Json(nullptr) : Json(explanation.decided_by);
    json["pick"] = pick;
    json["answer"] = answer;
    json["verdict"] = explanation.verdict;
    return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string explain_text(const Explanation& explanation) {
    std::string text = request_line(explanation) + routes_text(explanation);
    if (!explanation.pool.empty()) {
        text += pool_text(explanation) + candidates_text(explanation);
    }
    text += "\n" + explanation.verdict;
    if (explanation.reason == http::Reason::None && explanation.pick) {
        text += ", decided by " + std::string(explanation.decided_by);
    }
    return text + "\n";
}

}  // namespace rproxy::admin
