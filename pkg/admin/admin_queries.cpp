#include "admin/admin_routes.h"
#include "admin/explain.h"
#include "admin/requests.h"
#include "log/log.h"
#include "metrics/exposition.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <future>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

namespace rproxy::admin {

namespace {

/// A loop turns at least once a second when healthy; a machine that is busy may be late.
constexpr std::chrono::seconds kStuckAfter{10};
constexpr std::chrono::seconds kWorkersPatience{3};

}  // namespace

void AdminServer::Server::add_probes() {
    get("/metrics", [this](const httplib::Request&, httplib::Response& response) {
        auto status = controller.ask([](control::Controller& c) { return c.status(); });
        if (!status) {
            unavailable(response);
            return;
        }
        const std::lock_guard lock(scrape_mutex);
        response.set_content(collector.render(std::move(*status)),
                             std::string(metrics::kTextContentType));
    });
    http.Get("/livez", [this](const httplib::Request&, httplib::Response& response) {
        const auto now = std::chrono::steady_clock::now();
        std::string stuck;
        for (const auto& member : workers.members()) {
            if (now - member.worker->loop().turned_at() > kStuckAfter) {
                stuck += "worker " + std::to_string(member.worker->index()) + " does not turn\n";
            }
        }
        if (!controller.ask([](control::Controller&) { return true; })) {
            stuck += "the control thread does not turn\n";
        }
        response.status = stuck.empty() ? 200 : 503;
        response.set_content(stuck.empty() ? "ok\n" : stuck, kText);
    });
    http.Get("/readyz", [this](const httplib::Request&, httplib::Response& response) {
        const auto status =
            controller.ask([](control::Controller& c) { return c.status().not_ready; });
        std::string reasons;
        for (const auto& reason :
             status.value_or(std::vector<std::string>{"control thread busy"})) {
            reasons += reason + "\n";
        }
        response.status = reasons.empty() ? 200 : 503;
        response.set_content(reasons.empty() ? "ready\n" : reasons, kText);
    });
}

ProcessFacts AdminServer::Server::process_facts() const {
    ProcessFacts facts{options.build,  started, std::chrono::system_clock::now(),
                       workers.size(), 0,       0};
    for (const auto& member : workers.members()) {
        const auto& cells = std::as_const(*member.proxy).cells();
        facts.requests_active += cells.exchanges.value();
        facts.requests_total += cells.requests_total.value();
    }
    return facts;
}

void AdminServer::Server::add_api() {
    get("/api/v1/status", [this](const httplib::Request&, httplib::Response& response) {
        const auto status = controller.ask([](control::Controller& c) { return c.status(); });
        if (!status) {
            unavailable(response);
            return;
        }
        response.set_content(status_json(*status, process_facts()), kJson);
    });
    get("/api/v1/backends", [this](const httplib::Request&, httplib::Response& response) {
        const auto status = controller.ask([](control::Controller& c) { return c.status(); });
        if (!status) {
            unavailable(response);
            return;
        }
        response.set_content(backends_json(*status), kJson);
    });
    get("/api/v1/config",
        [this](const httplib::Request&, httplib::Response& response) { answer_config(response); });
    get("/api/v1/log",
        [this](const httplib::Request&, httplib::Response& response) { answer_log(response); });
    get("/api/v1/requests", [this](const httplib::Request& request, httplib::Response& response) {
        answer_requests(request, response);
    });
    get("/api/v1/explain", [this](const httplib::Request& request, httplib::Response& response) {
        answer_explain(request, response);
    });
    get("/api/v1/events", [this](const httplib::Request& request, httplib::Response& response) {
        std::uint64_t since = 0;
        const std::string text = request.get_param_value("since");
        std::from_chars(text.data(), text.data() + text.size(), since);
        const auto events = controller.ask([since](control::Controller& c) {
            return std::pair{c.events(since), c.last_event_id()};
        });
        if (!events) {
            unavailable(response);
            return;
        }
        response.set_content(events_json(events->first, events->second), kJson);
    });
}

void AdminServer::Server::answer_requests(const httplib::Request& request,
                                          httplib::Response& response) {
    const auto query = RequestQuery::parse(request.params);
    if (!query) {
        refuse(response, query.error());
        return;
    }
    // The recorders are the workers' alone, so each is asked for a copy.
    using Records = std::vector<proxy::FlightRecord>;
    std::vector<std::future<Records>> answers;
    for (const auto& member : workers.members()) {
        auto promise = std::make_shared<std::promise<Records>>();
        answers.push_back(promise->get_future());
        member.worker->loop().post(
            [&proxy = *member.proxy, promise] { promise->set_value(proxy.recorder().records()); });
    }
    Records records;
    const auto patience = std::chrono::steady_clock::now() + kWorkersPatience;
    for (auto& answer : answers) {
        if (answer.wait_until(patience) != std::future_status::ready) {
            response.status = 503;
            response.set_content(error_json("a worker does not answer", "see /livez"), kJson);
            return;
        }
        std::ranges::copy(answer.get(), std::back_inserter(records));
    }
    response.set_content(requests_json(std::move(records), *query), kJson);
}

void AdminServer::Server::answer_explain(const httplib::Request& request,
                                         httplib::Response& response) {
    auto parameters = request.params;
    const auto format = parameters.extract("format");
    const bool text = !format.empty() && format.mapped() == "text";
    if (!format.empty() && !text && format.mapped() != "json") {
        refuse(response, "format: '" + format.mapped() + "' is neither json nor text");
        return;
    }
    const auto question = ExplainQuestion::parse(parameters);
    if (!question) {
        refuse(response, question.error());
        return;
    }
    const auto status = controller.ask([](control::Controller& c) { return c.status(); });
    if (!status) {
        unavailable(response);
        return;
    }
    const auto explanation = explain(
        *status, *question, {std::chrono::steady_clock::now(), std::chrono::system_clock::now()});
    if (!explanation) {
        refuse(response, explanation.error());
        return;
    }
    response.set_content(text ? explain_text(*explanation) : explain_json(*explanation),
                         text ? kText : kJson);
}

void AdminServer::Server::answer_config(httplib::Response& response) {
    const auto answer =
        controller.ask([](control::Controller& c) { return std::pair{c.status(), c.versions()}; });
    if (!answer) {
        unavailable(response);
        return;
    }
    response.set_content(
        config_json(answer->first, answer->second, controller.config_path(), writable()), kJson);
}

void AdminServer::Server::answer_log(httplib::Response& response) const {
    response.set_content(
        log_json(log::to_string(log::level()), log::to_string(log::configured_level())), kJson);
}

}  // namespace rproxy::admin
