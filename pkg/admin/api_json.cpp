#include "admin/api_json.h"

#include "balancing/method.h"
#include "runtime/plan.h"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace rproxy::admin {

namespace {

using Json = nlohmann::ordered_json;

/// Broken UTF-8 (in a file's text) is replaced, never thrown at the reader.
std::string dump(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Json time(const std::optional<WallTime>& at) {
    return at ? Json(unix_seconds(*at)) : Json(nullptr);
}

Json milliseconds(std::int64_t at) {
    return at == 0 ? Json(nullptr) : Json(static_cast<double>(at) / 1000.0);
}

Json issues_json(const std::vector<config::Issue>& issues, const std::string& file) {
    auto list = Json::array();
    for (const auto& issue : issues) {
        list.push_back({{"file", file},
                        {"line", issue.line},
                        {"column", issue.column},
                        {"path", issue.path},
                        {"message", issue.message},
                        {"hint", issue.hint}});
    }
    return list;
}

std::string_view selection_name(config::SelectionBy by) {
    switch (by) {
        case config::SelectionBy::Request:
            return "request";
        case config::SelectionBy::Connection:
            return "connection";
        case config::SelectionBy::Interval:
            return "interval";
    }
    return "request";
}

Json side_json(const control::SideCounts& side) {
    const auto quantile = [&side](double q) {
        const auto latency = side.latency(q);
        return latency ? Json(static_cast<double>(latency->count()) / 1e9) : Json(nullptr);
    };
    return {{"requests", side.requests},
            {"failures", side.failures},
            {"unanswered", side.unanswered()},
            {"p50_seconds", quantile(0.5)},
            {"p90_seconds", quantile(0.9)}};
}

Json rollout_json(const std::optional<control::RolloutStatus>& rollout) {
    if (!rollout) {
        return nullptr;
    }
    return {{"stage", control::to_string(rollout->stage)},
            {"hash", rollout->candidate.sha256},
            {"began", unix_seconds(rollout->began)},
            {"share", rollout->share},
            {"seconds_left", std::chrono::duration<double>(rollout->left).count()},
            {"changes", rollout->candidate.changes},
            {"applied_at_once", rollout->candidate.applied_at_once},
            {"stable", side_json(rollout->stable)},
            {"candidate", side_json(rollout->candidate_counts)},
            {"text", rollout->candidate.text}};
}

Json backend_json(const control::BackendStatus& backend) {
    std::int64_t active = 0;
    std::int64_t idle = 0;
    std::int64_t requests_active = 0;
    std::uint64_t opened = 0;
    std::int64_t last_request = 0;
    metrics::CounterSetSum<metrics::CodeClass> requests;
    for (const auto& cells : backend.backend->all_cells()) {
        active += cells.connections_active.value();
        idle += cells.connections_idle.value();
        requests_active += cells.requests_active.value();
        opened += cells.connections_total.value();
        last_request = std::max(last_request, cells.last_request.milliseconds());
        requests.add(cells.requests);
    }
    Json by_class;
    for (std::size_t i = 0; i < metrics::kCodeClassNames.size(); ++i) {
        by_class[std::string(metrics::kCodeClassNames[i])] = requests.values()[i];
    }
    const auto& facts = backend.facts;
    std::uint64_t crashes = 0;
    for (const auto count : facts.crashes) {
        crashes += count;
    }
    const auto endpoint = Endpoint::parse(backend.address);
    Json check = nullptr;
    if (facts.last_check) {
        check = {{"at", unix_seconds(facts.last_check->at)},
                 {"ok", facts.last_check->ok},
                 {"detail", facts.last_check->detail}};
    }
    return {{"name", backend.name},
            {"address", backend.address},
            {"configured", backend.configured},
            {"host", endpoint && !endpoint->is_unix() ? endpoint->host : backend.address},
            {"port", endpoint ? endpoint->port : 0},
            {"state", backends::to_string(backend.state)},
            {"eligible", backend.eligible},
            {"on_trial", backend.on_trial},
            {"held_until", time(backend.held_until)},
            {"ejected_until", time(backend.ejected_until)},
            {"recent_falls", backend.recent_falls},
            {"weight", backend.weight},
            {"effective_weight", backend.effective_weight},
            {"connections_active", active},
            {"connections_idle", idle},
            {"connections_total", opened},
            {"requests_active", requests_active},
            {"requests_total", by_class},
            {"latency_ewma_seconds",
             static_cast<double>(backend.backend->load().ewma_ns.load(std::memory_order_relaxed)) /
                 1e9},
            {"up_since", time(facts.up_since)},
            {"uptime_seconds", std::chrono::duration<double>(facts.uptime).count()},
            {"last_request", milliseconds(last_request)},
            {"last_crash", time(facts.last_crash)},
            {"last_crash_reason", facts.last_crash_reason
                                      ? Json(metrics::to_string(*facts.last_crash_reason))
                                      : Json(nullptr)},
            {"crashes", crashes},
            {"last_recovery", time(facts.last_recovery)},
            {"last_health_check", check}};
}

}  // namespace

std::string status_json(const control::Status& status, const ProcessFacts& process) {
    auto listeners = Json::array();
    if (status.plan) {
        for (const auto& listener : status.plan->listeners) {
            std::int64_t active = 0;
            std::uint64_t total = 0;
            for (const auto& cells : listener.state->cells) {
                active += cells.connections_active.value();
                total += cells.connections_total.value();
            }
            Endpoint bound = listener.config.address;
            bound.port = listener.port;
            listeners.push_back({{"name", listener.state->name},
                                 {"address", bound.to_string()},
                                 {"connections_active", active},
                                 {"connections_total", total}});
        }
    }
    return dump(
        {{"version", process.build.version},
         {"revision", process.build.revision},
         {"started", unix_seconds(process.started)},
         {"uptime_seconds", std::chrono::duration<double>(process.now - process.started).count()},
         {"workers", process.workers},
         {"ready", status.not_ready.empty()},
         {"draining", status.draining},
         {"not_ready_reasons", status.not_ready},
         {"generation", status.generation},
         {"listeners", listeners},
         {"requests_total", process.requests_total},
         {"requests_active", process.requests_active}});
}

std::string backends_json(const control::Status& status) {
    auto pools = Json::array();
    for (const auto& pool : status.pools) {
        auto rows = Json::array();
        std::size_t up = 0;
        for (const auto& backend : pool.backends) {
            rows.push_back(backend_json(backend));
            up += backend.state == backends::State::Up ? 1U : 0U;
        }
        pools.push_back({{"name", pool.name},
                         {"method", balancing::to_string(pool.method)},
                         {"selection", selection_name(pool.selection)},
                         {"backends_up", up},
                         {"all_down_since", time(pool.all_down_since)},
                         {"fail_open", pool.fail_open},
                         {"backends", rows}});
    }
    return dump({{"pools", pools}});
}

namespace {

/// What clients are shown, and what is wrong with the files as they are now.
Json certificates_json(const control::Status& status, const std::string& file) {
    auto in_use = Json::array();
    if (status.plan) {
        for (const auto& listener : status.plan->listeners) {
            if (!listener.rules || !listener.rules->tls) {
                continue;
            }
            for (const auto& shown : listener.rules->tls->shown()) {
                in_use.push_back({{"listener", listener.state->name},
                                  {"file", shown.path},
                                  {"names", shown.names},
                                  {"key", shown.kind},
                                  {"sha256", shown.fingerprint},
                                  {"not_before", unix_seconds(shown.not_before)},
                                  {"not_after", unix_seconds(shown.not_after)}});
            }
        }
    }
    const auto& rejected = status.rejected_certificates;
    return {{"in_use", in_use},
            {"rejected_at", rejected ? Json(unix_seconds(rejected->at)) : Json(nullptr)},
            {"errors", rejected ? issues_json(rejected->issues, file) : Json::array()}};
}

}  // namespace

std::string config_json(const control::Status& status,
                        const std::vector<control::Version>& versions, const std::string& path,
                        bool writable) {
    const std::string file = path.substr(path.rfind('/') + 1);
    Json last = nullptr;
    if (status.last_reload) {
        last = {{"result", control::to_string(status.last_reload->result)},
                {"at", unix_seconds(status.last_reload->at)},
                {"errors", issues_json(status.last_reload->issues, file)},
                {"text", status.last_reload->text}};
    }
    auto list = Json::array();
    for (const auto& version : versions) {
        list.push_back({{"generation", version.generation},
                        {"hash", version.sha256},
                        {"applied", unix_seconds(version.applied)},
                        {"changes", version.changes},
                        {"text", version.text}});
    }
    return dump({{"text", status.text},
                 {"hash", status.sha256},
                 {"generation", status.generation},
                 {"source", control::to_string(status.source)},
                 {"path", path},
                 {"writable", writable},
                 {"applied", time(status.applied)},
                 {"last_result", last},
                 {"certificates", certificates_json(status, file)},
                 {"rollout", rollout_json(status.rollout)},
                 {"versions", list}});
}

std::string events_json(const std::vector<control::Event>& events, std::uint64_t last_id) {
    auto list = Json::array();
    for (const auto& event : events) {
        Json json{{"id", event.id},
                  {"at", unix_seconds(event.at)},
                  {"kind", control::to_string(event.kind)}};
        const auto add = [&json](const char* key, const std::string& value) {
            if (!value.empty()) {
                json[key] = value;
            }
        };
        add("pool", event.pool);
        add("backend", event.backend);
        add("from", event.from);
        add("to", event.to);
        add("reason", event.reason);
        if (event.kind == control::Event::Kind::Config) {
            json["generation"] = event.generation;
        }
        add("result", event.result);
        add("message", event.message);
        list.push_back(std::move(json));
    }
    return dump({{"events", list}, {"last_id", last_id}});
}

std::string check_json(bool valid, const std::vector<config::Issue>& issues,
                       const std::vector<std::string>& changes, const std::string& file) {
    return dump({{"valid", valid}, {"errors", issues_json(issues, file)}, {"changes", changes}});
}

std::string log_json(std::string_view level, std::string_view configured) {
    return dump({{"level", level}, {"configured", configured}});
}

std::string error_json(const std::string& error, const std::string& hint) {
    return dump({{"error", error}, {"hint", hint}});
}

}  // namespace rproxy::admin
