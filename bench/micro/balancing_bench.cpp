// What one choice costs, for every method and 3 to 10,000 backends. docs/balancing.md has the
// table.

#include "balancing/policy.h"
#include "base/hash.h"
#include "base/rng.h"

#include <benchmark/benchmark.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace {

using namespace rproxy;
using balancing::Method;

/// Each on a cache line of its own, as in the backends' shared state.
struct alignas(64) Line {
    balancing::Load load;
};

class Backends {
public:
    explicit Backends(std::size_t size, bool weighted) {
        XoshiroRng rng(7);
        for (std::size_t i = 0; i < size; ++i) {
            lines_.push_back(std::make_unique<Line>());
            lines_.back()->load.in_flight = rng.below(4);
            observe_latency(lines_.back()->load, std::chrono::microseconds(500 + rng.below(1000)),
                            MonotonicTime{std::chrono::hours(1)});
            members_.push_back({.id_hash = stable_hash("10.0.0.1:" + std::to_string(i)),
                                .weight = weighted ? 1 + rng.below(5) : 1,
                                .load = &lines_.back()->load});
        }
    }
    const std::vector<balancing::Member>& members() const { return members_; }
    balancing::Load& load(std::uint32_t slot) { return lines_[slot]->load; }

private:
    std::vector<std::unique_ptr<Line>> lines_;
    std::vector<balancing::Member> members_;
};

constexpr MonotonicTime kNow{std::chrono::hours(1) + std::chrono::milliseconds(5)};

/// The choice alone.
void pick(benchmark::State& state, Method method, bool weighted) {
    Backends backends(static_cast<std::size_t>(state.range(0)), weighted);
    balancing::Cursor cursor{0};
    const auto policy = balancing::make_policy(method, backends.members(), cursor);
    XoshiroRng rng(1);
    const balancing::Excluded nobody;
    std::uint64_t hash = 0;
    for ([[maybe_unused]] auto _ : state) {
        hash += 0x9e3779b97f4a7c15U;
        benchmark::DoNotOptimize(
            policy->pick({.hash = hash, .now = kNow, .rng = rng, .excluded = nobody}));
    }
}

/// A second choice, after the first one failed.
void pick_again(benchmark::State& state, Method method) {
    Backends backends(static_cast<std::size_t>(state.range(0)), true);
    balancing::Cursor cursor{0};
    const auto policy = balancing::make_policy(method, backends.members(), cursor);
    XoshiroRng rng(1);
    std::uint64_t hash = 0;
    for ([[maybe_unused]] auto _ : state) {
        hash += 0x9e3779b97f4a7c15U;
        balancing::Excluded tried;
        tried.add(static_cast<std::uint32_t>(hash % backends.members().size()));
        benchmark::DoNotOptimize(
            policy->pick({.hash = hash, .now = kNow, .rng = rng, .excluded = tried}));
    }
}

/// All that balancing adds to a request: the choice, the count up, the count down of an older
/// request, both told to the policy.
void request(benchmark::State& state, Method method) {
    Backends backends(static_cast<std::size_t>(state.range(0)), false);
    balancing::Cursor cursor{0};
    const auto policy = balancing::make_policy(method, backends.members(), cursor);
    XoshiroRng rng(1);
    const balancing::Excluded nobody;
    std::uint64_t hash = 0;
    std::vector<std::uint32_t> open;
    constexpr std::size_t kOpen = 128;
    std::size_t oldest = 0;
    for ([[maybe_unused]] auto _ : state) {
        hash += 0x9e3779b97f4a7c15U;
        const std::uint32_t slot =
            *policy->pick({.hash = hash, .now = kNow, .rng = rng, .excluded = nobody});
        backends.load(slot).in_flight.fetch_add(1, std::memory_order_relaxed);
        policy->load_changed(slot);
        if (open.size() < kOpen) {
            open.push_back(slot);
            continue;
        }
        const std::uint32_t finished = open[oldest];
        open[oldest] = slot;
        oldest = (oldest + 1) % kOpen;
        backends.load(finished).in_flight.fetch_sub(1, std::memory_order_relaxed);
        policy->load_changed(finished);
    }
}

/// make_policy(): what a change of health or weights costs the control thread.
void build(benchmark::State& state, Method method) {
    Backends backends(static_cast<std::size_t>(state.range(0)), true);
    balancing::Cursor cursor{0};
    for ([[maybe_unused]] auto _ : state) {
        benchmark::DoNotOptimize(balancing::make_policy(method, backends.members(), cursor));
    }
}

void register_all() {
    for (const Method method :
         {Method::RoundRobin, Method::LeastConnections, Method::Random, Method::PowerOfTwo,
          Method::PeakEwma, Method::IpHash, Method::ConsistentHash}) {
        const std::string name{to_string(method)};
        const auto sizes = [](benchmark::internal::Benchmark* bench) {
            bench->Arg(3)->Arg(10)->Arg(32)->Arg(100)->Arg(1000)->Arg(10000);
        };
        sizes(benchmark::RegisterBenchmark(("pick/" + name).c_str(), pick, method, false));
        sizes(benchmark::RegisterBenchmark(("pick_weighted/" + name).c_str(), pick, method, true));
        sizes(benchmark::RegisterBenchmark(("pick_again/" + name).c_str(), pick_again, method));
        sizes(benchmark::RegisterBenchmark(("request/" + name).c_str(), request, method));
        sizes(benchmark::RegisterBenchmark(("build/" + name).c_str(), build, method)
                  ->Unit(benchmark::kMicrosecond));
    }
}

}  // namespace

int main(int argc, char** argv) {
    register_all();
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) {
        return 2;
    }
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
}
