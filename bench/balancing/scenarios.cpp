#include "scenarios.h"

#include "report.h"
#include "service_times.h"
#include "simulation.h"

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

namespace rproxy::simulation {

namespace {

using balancing::Method;

constexpr auto kService = 100ms;
constexpr std::uint32_t kSlots = 4;
constexpr double kUtilisation = 0.7;

struct Scenario {
    std::string name;
    std::string what;
    /// Shapes the backends; the rest of the setup has been filled in for equal ones.
    std::function<void(Setup&)> shape;
};

std::vector<Scenario> scenarios() {
    return {
        {"equal", "equal backends, exponential service times", [](Setup&) {}},
        {"unequal", "backends of 2, 4 and 8 slots with weights 1, 2 and 4",
         [](Setup& setup) {
             for (std::size_t i = 0; i < setup.backends.size(); ++i) {
                 setup.backends[i].slots = 2U << (i % 3);
                 setup.backends[i].weight = 1U << (i % 3);
             }
         }},
        {"unknown", "every second backend is twice as slow, and no weight says so",
         [](Setup& setup) {
             for (std::size_t i = 0; i < setup.backends.size(); i += 2) {
                 setup.backends[i].slowness = 2;
             }
         }},
        {"one slow", "one in ten backends is ten times as slow during the middle third",
         [](Setup& setup) {
             for (std::size_t i = 0; i < setup.backends.size(); i += 10) {
                 setup.backends[i].slow = Window{setup.length / 3, setup.length * 2 / 3};
             }
         }},
        {"flapping",
         "one in ten backends, ten at most, is down for a fifth of each fifth of the time",
         [](Setup& setup) {
             const Duration period = setup.length / 5;
             const std::size_t last = std::min<std::size_t>(100, setup.backends.size());
             for (std::size_t i = 0; i < last; i += 10) {
                 for (int turn = 0; turn < 5; ++turn) {
                     const Duration from = (period * turn) + (period / 4);
                     setup.backends[i].down.push_back({from, from + (period / 5)});
                 }
             }
         }},
        {"heavy tail", "equal backends, bounded Pareto service times (shape 1.5)",
         [](Setup& setup) { setup.service = heavy_tailed(kService); }},
    };
}

/// Long enough for percentiles, short enough for a minute in all.
Duration length_for(std::size_t backends) {
    return backends <= 10 ? 300s : backends <= 100 ? 60s : 10s;
}

double capacity(const Setup& setup) {
    double per_second = 0;
    for (const BackendModel& backend : setup.backends) {
        per_second +=
            backend.slots / (std::chrono::duration<double>(kService).count() * backend.slowness);
    }
    return per_second;
}

void run_scenario(const Scenario& scenario, std::size_t backends, std::uint64_t seed) {
    print_heading(std::to_string(backends) + " backends, " + scenario.name + ": " + scenario.what);
    struct Row {
        Method method;
        Outcome outcome;
    };
    std::vector<Row> rows;
    double worst = 0;
    for (const Method method :
         {Method::RoundRobin, Method::Random, Method::LeastConnections, Method::PowerOfTwo,
          Method::PeakEwma, Method::IpHash, Method::ConsistentHash}) {
        Setup setup{.method = method,
                    .backends = std::vector<BackendModel>(backends, {.slots = kSlots}),
                    .length = length_for(backends),
                    .warm_up = length_for(backends) / 20,
                    .clients = static_cast<std::uint32_t>(backends) * 200,
                    .service = exponential(kService),
                    .seed = seed};
        scenario.shape(setup);
        setup.requests_per_second = kUtilisation * capacity(setup);
        rows.push_back({method, run(setup)});
        worst = std::max(worst, rows.back().outcome.p99);
    }
    Table table({"method", "p50 ms", "p99 ms", "p99.9 ms", "failed", "busiest/mean",
                 "most in flight", "p99"});
    for (const auto& [method, outcome] : rows) {
        table.add({std::string(to_string(method)), milliseconds(outcome.p50),
                   milliseconds(outcome.p99), milliseconds(outcome.p999),
                   std::to_string(outcome.failures), fixed(outcome.busiest_to_mean, 2),
                   std::to_string(outcome.most_in_flight), bar(outcome.p99, worst)});
    }
    table.print();
}

}  // namespace

void run_scenarios(std::size_t backends, std::uint64_t seed) {
    for (const Scenario& scenario : scenarios()) {
        run_scenario(scenario, backends, seed);
    }
}

}  // namespace rproxy::simulation
