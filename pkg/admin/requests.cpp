#include "admin/requests.h"

#include "base/strings.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <functional>
#include <string_view>
#include <utility>

namespace rproxy::admin {

namespace {

using Json = nlohmann::ordered_json;
using proxy::FiredTimer;
using proxy::FlightRecord;

constexpr std::array<std::pair<FlightRecord::Why, std::string_view>, 3> kWhy{
    {{FlightRecord::Failed, "failed"},
     {FlightRecord::Retried, "retried"},
     {FlightRecord::Slow, "slow"}}};
constexpr std::array<std::pair<FiredTimer, std::string_view>, 5> kTimers{
    {{FiredTimer::Connect, "connect"},
     {FiredTimer::Response, "response"},
     {FiredTimer::Body, "body"},
     {FiredTimer::Queue, "queue"},
     {FiredTimer::Client, "client"}}};

double seconds(std::chrono::nanoseconds duration) {
    return std::chrono::duration<double>(duration).count();
}

template <typename Names>
Json words(std::uint8_t bits, const Names& names) {
    auto list = Json::array();
    for (const auto& [bit, name] : names) {
        if ((bits & static_cast<std::uint8_t>(bit)) != 0) {
            list.push_back(name);
        }
    }
    return list;
}

Json text_or_null(std::string_view text) {
    return text.empty() ? Json(nullptr) : Json(text);
}

Json attempts_json(const FlightRecord& record) {
    auto list = Json::array();
    for (std::size_t i = 0; i < record.kept_attempts; ++i) {
        const auto& attempt = record.tried.at(i);
        list.push_back({{"backend", attempt.backend.view()},
                        {"result", proxy::to_string(attempt.result)},
                        {"status", attempt.status == 0 ? Json(nullptr) : Json(attempt.status)},
                        {"duration_seconds", seconds(attempt.duration)}});
    }
    return list;
}

Json record_json(const FlightRecord& record) {
    return {{"time", std::chrono::duration<double>(record.time.time_since_epoch()).count()},
            {"why", words(record.why, kWhy)},
            {"request_id", record.request_id.view()},
            {"trace_id", text_or_null(record.trace_id.view())},
            {"client", record.client.view()},
            {"method", record.method.view()},
            {"host", record.host.view()},
            {"path", record.path.view()},
            {"pool", text_or_null(record.pool.view())},
            {"generation", record.generation},
            {"status", record.status},
            {"reason", record.reason == http::Reason::None ? Json(nullptr)
                                                           : Json(http::info(record.reason).code)},
            {"timers", words(record.timers, kTimers)},
            {"duration_seconds", seconds(record.duration)},
            {"until_answer_seconds",
             record.until_answer.count() == 0 ? Json(nullptr) : Json(seconds(record.until_answer))},
            {"backend_seconds", seconds(record.backend_duration)},
            {"queued_seconds", seconds(record.queued)},
            {"bytes_in", record.bytes_in},
            {"bytes_out", record.bytes_out},
            {"attempts_total", record.attempts},
            {"attempts", attempts_json(record)}};
}

std::optional<double> to_number(const std::string& text) {
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool whole = error == std::errc{} && end == text.data() + text.size() && !text.empty();
    return whole ? std::optional(number) : std::nullopt;
}

std::string unknown_parameter(const std::string& name) {
    const std::vector<std::string> known{"pool", "backend", "reason", "since", "limit"};
    const auto nearest = nearest_word(name, known);
    return "unknown parameter '" + name + "'" +
           (nearest ? ", did you mean '" + *nearest + "'?"
                    : ": there are pool, backend, reason, since and limit");
}

bool is_known_reason(std::string_view reason) {
    for (std::size_t i = 1; i < http::kReasons; ++i) {
        if (http::info(static_cast<http::Reason>(i)).code == reason) {
            return true;
        }
    }
    return std::ranges::find(kWhy, reason, &decltype(kWhy)::value_type::second) != kWhy.end();
}

}  // namespace

std::expected<RequestQuery, std::string> RequestQuery::parse(
    const std::multimap<std::string, std::string>& parameters) {
    RequestQuery query;
    for (const auto& [name, value] : parameters) {
        if (parameters.count(name) > 1) {
            return std::unexpected{"parameter '" + name + "' is given twice"};
        }
        if (name == "pool") {
            query.pool = value;
        } else if (name == "backend") {
            query.backend = value;
        } else if (name == "reason") {
            query.reason = value;
            if (!is_known_reason(value)) {
                return std::unexpected{"reason: '" + value +
                                       "' is none of X-Rproxy-Reason's codes, nor failed, "
                                       "retried or slow"};
            }
        } else if (name == "since") {
            const auto number = to_number(value);
            if (!number) {
                return std::unexpected{"since: '" + value + "' is not a Unix time in seconds"};
            }
            query.since = *number;
        } else if (name == "limit") {
            const auto number = to_number(value);
            constexpr double kMost = proxy::FlightRecorder::kMost;
            if (!number || *number < 1 || *number > kMost) {
                return std::unexpected{"limit: '" + value + "' is not a number from 1 to 1000"};
            }
            query.limit = static_cast<std::size_t>(*number);
        } else {
            return std::unexpected{unknown_parameter(name)};
        }
    }
    return query;
}

bool RequestQuery::wants(const FlightRecord& record) const {
    if (!pool.empty() && record.pool.view() != pool) {
        return false;
    }
    if (std::chrono::duration<double>(record.time.time_since_epoch()).count() <= since) {
        return false;
    }
    if (!backend.empty()) {
        const auto tried = std::span(record.tried).first(record.kept_attempts);
        if (std::ranges::none_of(
                tried, [this](const auto& attempt) { return attempt.backend.view() == backend; })) {
            return false;
        }
    }
    if (reason.empty() || http::info(record.reason).code == reason) {
        return true;
    }
    return std::ranges::any_of(kWhy, [&](const auto& why) {
        return why.second == reason && (record.why & why.first) != 0;
    });
}

std::string requests_json(std::vector<FlightRecord> records, const RequestQuery& query) {
    std::erase_if(records, [&query](const auto& record) { return !query.wants(record); });
    std::ranges::sort(records, std::greater{}, &FlightRecord::time);
    const std::size_t matching = std::min(records.size(), proxy::FlightRecorder::kMost);
    records.resize(std::min(matching, query.limit));
    auto list = Json::array();
    for (const auto& record : records) {
        list.push_back(record_json(record));
    }
    const Json json{
        {"slow_above_seconds", std::chrono::duration<double>(proxy::FlightRecorder::kSlow).count()},
        {"matching", matching},
        {"requests", list}};
    return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace rproxy::admin
