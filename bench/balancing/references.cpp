#include "references.h"

#include "balancing/maglev.h"
#include "balancing/policy.h"
#include "base/hash.h"
#include "report.h"
#include "service_times.h"
#include "simulation.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <deque>
#include <string>
#include <utility>
#include <vector>

namespace rproxy::simulation {

namespace {

using balancing::Method;

std::uint64_t id_of(std::size_t backend) {
    return stable_hash("10.0.0.1:" + std::to_string(backend));
}

/// The hash of one table entry and one backend.
std::uint64_t score(std::size_t entry, std::uint64_t id) {
    return combine_hashes(entry, id);
}

/// Owners of `size` entries among `backends`, by highest random weight.
std::vector<std::uint32_t> rendezvous_table(const std::vector<std::uint32_t>& backends,
                                            std::size_t size) {
    std::vector<std::uint64_t> ids;
    ids.reserve(backends.size());
    for (const std::uint32_t backend : backends) {
        ids.push_back(id_of(backend));
    }
    std::vector<std::uint32_t> table(size);
    for (std::size_t entry = 0; entry < size; ++entry) {
        std::uint64_t best = 0;
        for (std::size_t i = 0; i < ids.size(); ++i) {
            if (const std::uint64_t mine = score(entry, ids[i]); mine >= best) {
                best = mine;
                table[entry] = backends[i];
            }
        }
    }
    return table;
}

std::vector<std::uint32_t> maglev_table(const std::vector<std::uint32_t>& backends,
                                        std::size_t size) {
    std::vector<balancing::Preference> preferences;
    preferences.reserve(backends.size());
    for (const std::uint32_t backend : backends) {
        const std::uint64_t id = id_of(backend);
        preferences.push_back({.offset = stable_hash("offset", id) % size,
                               .skip = (stable_hash("skip", id) % (size - 1)) + 1,
                               .weight = 1});
    }
    std::vector<std::uint32_t> table = balancing::fill_maglev_table(preferences, size);
    for (std::uint32_t& entry : table) {
        entry = backends[entry];
    }
    return table;
}

double max_to_mean(const std::vector<std::uint32_t>& table, std::size_t backends) {
    std::vector<std::uint32_t> counts;
    for (const std::uint32_t owner : table) {
        counts.resize(std::max<std::size_t>(counts.size(), owner + 1));
        ++counts[owner];
    }
    return *std::ranges::max_element(counts) * static_cast<double>(backends) /
           static_cast<double>(table.size());
}

std::vector<std::uint32_t> first_backends(std::size_t count) {
    std::vector<std::uint32_t> result;
    result.reserve(count);
    for (std::uint32_t i = 0; i < count; ++i) {
        result.push_back(i);
    }
    return result;
}

/// The share of entries that changed hands although their owner stayed.
double moved_needlessly(const std::vector<std::uint32_t>& before,
                        const std::vector<std::uint32_t>& after, std::size_t survivors) {
    std::size_t moved = 0;
    for (std::size_t entry = 0; entry < before.size(); ++entry) {
        moved += before[entry] < survivors && before[entry] != after[entry] ? 1 : 0;
    }
    return static_cast<double>(moved);
}

template <typename Work>
double seconds_of(Work&& work) {
    // Processor time: other programs on the machine should not count.
    const std::clock_t start = std::clock();
    std::forward<Work>(work)();
    return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

}  // namespace

void reproduce_linkerd(std::uint64_t seed) {
    print_heading(
        "linkerd, Beyond Round Robin (2016): 11 backends, 167 ms, one at 2 s from second 15 to 45");
    struct Published {
        Method method;
        std::string success;
        std::string recomputed;
    };
    const std::array<Published, 4> published{{{Method::RoundRobin, "95 %", "95.46 %"},
                                              {Method::LeastConnections, "99 %", "99.54 %"},
                                              {Method::PowerOfTwo, "-", "99.49 %"},
                                              {Method::PeakEwma, "99.9 %", "99.92 %"}}};
    Table table(
        {"method", "late answers awaited", "given up after 1 s", "published", "re-computed"});
    for (const auto& [method, success, recomputed] : published) {
        Setup setup{.method = method,
                    .backends = std::vector<BackendModel>(11, {.slots = kUnlimitedSlots}),
                    .proxies = 1,
                    .requests_per_second = 1000,
                    .length = 60s,
                    .timeout = 1s,
                    .service = uniform(167ms, 5ms),
                    .seed = seed};
        setup.backends[4].slow = Window{15s, 45s};
        setup.backends[4].slow_factor = 2000.0 / 167;
        const auto success_of = [&setup](bool gives_up) {
            setup.gives_up = gives_up;
            const Outcome outcome = run(setup);
            const auto requests = static_cast<double>(outcome.requests);
            return percent_of(requests - static_cast<double>(outcome.failures), requests, 2);
        };
        table.add({std::string(to_string(method)), success_of(false), success_of(true), success,
                   recomputed});
    }
    table.print();
}

void reproduce_supermarket(std::uint64_t seed) {
    print_heading(
        "Supermarket model (Mitzenmacher): 500 single servers, mean time in units of service");
    struct Published {
        double load;
        std::string one;
        std::string two;
        Duration length;
    };
    // A queue of one choice needs about 1/(1-load)^2 services to settle; at 0.99 that is left out.
    const std::array<Published, 4> published{{{0.7, "3.33", "1.61", 1000s},
                                              {0.9, "10", "2.61", 2000s},
                                              {0.95, "20", "3.38", 3000s},
                                              {0.99, "100", "5.35", 3000s}}};
    Table table({"load", "one choice", "published", "two choices", "published"});
    for (const auto& [load, one, two, length] : published) {
        Setup setup{.backends = std::vector<BackendModel>(500, {.slots = 1}),
                    .proxies = 1,
                    .requests_per_second = load * 500,
                    .length = length,
                    .warm_up = length / 3,
                    .service = exponential(1s),
                    .seed = seed};
        std::string measured_one = "-";
        if (load < 0.98) {
            setup.method = Method::Random;
            measured_one = fixed(run(setup).mean_seconds, 2);
        }
        setup.method = Method::PowerOfTwo;
        table.add({fixed(load, 2), measured_one, one, fixed(run(setup).mean_seconds, 2), two});
    }
    table.print();
}

void reproduce_balls_into_bins(std::uint64_t seed) {
    print_heading(
        "Balls into bins (Azar et al.): 100,000 requests that never end, 100,000 backends");
    constexpr std::size_t kBins = 100'000;
    Table table({"method", "fullest", "published"});
    for (const Method method : {Method::Random, Method::PowerOfTwo}) {
        std::deque<balancing::Load> loads(kBins);
        std::vector<balancing::Member> members;
        members.reserve(kBins);
        for (std::size_t i = 0; i < kBins; ++i) {
            members.push_back({.id_hash = i, .load = &loads[i]});
        }
        balancing::Cursor cursor{0};
        const auto policy = balancing::make_policy(method, members, cursor);
        XoshiroRng rng(seed);
        const balancing::Excluded nobody;
        std::uint32_t fullest = 0;
        for (std::size_t ball = 0; ball < kBins; ++ball) {
            const auto slot =
                policy->pick({.hash = ball, .now = {}, .rng = rng, .excluded = nobody});
            fullest = std::max(fullest, ++loads[slot.value()].in_flight);
        }
        table.add({std::string(to_string(method)), std::to_string(fullest),
                   method == Method::Random ? "7-8" : "3-4"});
    }
    table.print();
}

void reproduce_maglev() {
    print_heading("Maglev (NSDI'16): 1,000 backends");
    constexpr std::size_t kBackends = 1000;
    Table table({"table size", "max/mean", "published", "moved at 1 failed", "10 failed",
                 "30 failed", "published", "built in ms", "published"});
    for (const std::size_t size : {65'537U, 655'373U}) {
        std::vector<std::uint32_t> whole;
        const double took =
            seconds_of([&] { whole = maglev_table(first_backends(kBackends), size); });
        const auto moved = [&](std::size_t failed) {
            const std::size_t survivors = kBackends - failed;
            return percent_of(
                moved_needlessly(whole, maglev_table(first_backends(survivors), size), survivors),
                static_cast<double>(size), 2);
        };
        const bool is_small = size == 65'537U;
        table.add({std::to_string(size), fixed(max_to_mean(whole, kBackends), 4),
                   is_small ? "1.0071" : "1.0010", moved(1), moved(10), moved(30),
                   is_small ? "0.6, 2.3, 2.8 %" : "0.4 to 0.8 %", fixed(took * 1000, 1),
                   is_small ? "1.8" : "22.9"});
    }
    table.print();
}

void compare_hashing() {
    print_heading("Maglev against rendezvous: the last of n backends leaves, 65,537 entries");
    Table table({"backends", "Maglev max/mean", "moved needlessly", "built in ms",
                 "rendezvous max/mean", "moved needlessly", "rendezvous choice in ns"});
    constexpr std::size_t kSize = 65'537;
    for (const std::size_t backends : {3U, 10U, 100U, 600U}) {
        const auto whole = first_backends(backends);
        const auto less = first_backends(backends - 1);
        std::vector<std::uint32_t> maglev;
        const double maglev_took = seconds_of([&] { maglev = maglev_table(whole, kSize); });
        std::vector<std::uint32_t> rendezvous;
        const double rendezvous_took =
            seconds_of([&] { rendezvous = rendezvous_table(whole, kSize); });
        const auto share = [&](const std::vector<std::uint32_t>& before,
                               const std::vector<std::uint32_t>& after) {
            return percent_of(moved_needlessly(before, after, backends - 1), kSize, 2);
        };
        table.add({std::to_string(backends), fixed(max_to_mean(maglev, backends), 4),
                   share(maglev, maglev_table(less, kSize)), fixed(maglev_took * 1000, 1),
                   fixed(max_to_mean(rendezvous, backends), 4),
                   share(rendezvous, rendezvous_table(less, kSize)),
                   fixed(rendezvous_took / kSize * 1e9, 0)});
    }
    table.print();
}

}  // namespace rproxy::simulation
