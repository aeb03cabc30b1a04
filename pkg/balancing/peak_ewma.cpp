#include "balancing/methods.h"
#include "balancing/weighted_members.h"

#include <algorithm>

namespace rproxy::balancing {

namespace {

/// How fast an estimate fades: to about a third in this time. Finagle's default.
constexpr double kDecayNs = 10e9;

/// What a member with no answer yet but with requests in flight is taken for: slow enough that a
/// new backend gets one request to show itself and not a flood, finite so that one request that
/// never ends does not starve it.
constexpr double kUnseenNs = 1e9;

/// Up to here all are compared; above, two by chance, which keeps the cost flat and workers and
/// replicas from rushing to the same best one.
constexpr std::size_t kScanLimit = 16;

/// exp(-x) for x >= 0, near enough (within 0.01) and monotonic, at the price of one division: the
/// series of exp(x/2), squared.
double fading(double x) {
    const double half = x * 0.5;
    const double root = 1.0 + (half * (1.0 + (half * (0.5 + (half * (1.0 / 6.0))))));
    return 1.0 / (root * root);
}

std::int64_t nanoseconds(MonotonicTime time) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

/// How much of an estimate of `at_ns` still counts at `now_ns`. A time before the estimate's
/// (workers read their clocks once per turn) is taken for the same moment.
double kept_share(std::int64_t at_ns, std::int64_t now_ns) {
    return fading(static_cast<double>(std::max<std::int64_t>(0, now_ns - at_ns)) / kDecayNs);
}

double cost(const WeightedMembers::Entry& entry, std::int64_t now_ns) {
    const auto in_flight =
        static_cast<double>(entry.load->in_flight.load(std::memory_order_relaxed));
    const std::uint64_t seen = entry.load->ewma_ns.load(std::memory_order_relaxed);
    if (seen == 0) {
        return kUnseenNs * in_flight / entry.weight;  // Idle and unseen: the first to be tried.
    }
    const std::int64_t at_ns = entry.load->ewma_at_ns.load(std::memory_order_relaxed);
    const double estimate = static_cast<double>(seen) * kept_share(at_ns, now_ns);
    return estimate * (in_flight + 1) / entry.weight;
}

class PeakEwma final : public MemberPolicy {
public:
    PeakEwma(std::span<const Member> members, Cursor& cursor)
        : MemberPolicy(members), cursor_(cursor) {}

    std::optional<std::uint32_t> pick(const Pick& pick) const override {
        const std::int64_t now_ns = nanoseconds(pick.now);
        if (members().size() > kScanLimit) {
            return better_of_two(pick, now_ns);
        }
        return best_of_all(cursor_.fetch_add(1, std::memory_order_relaxed), pick.excluded, now_ns);
    }

    Explanation explain(const Question& question) const override {
        const std::int64_t now_ns = nanoseconds(question.now);
        const bool all = members().size() <= kScanLimit;
        Explanation explanation{
            all ? "latency estimate in ns * (requests in flight + 1) / weight, the lowest wins"
                : "latency estimate in ns * (requests in flight + 1) / weight, the lower of two "
                  "drawn wins",
            all ? "score" : "chance, then score", standings()};
        std::vector<double> costs;
        for (std::size_t i = 0; i < explanation.ranked.size(); ++i) {
            costs.push_back(cost(members()[i], now_ns));
            explanation.ranked[i].score = costs.back();
        }
        if (all) {
            settle(explanation,
                   best_of_all(cursor_.load(std::memory_order_relaxed), question.excluded, now_ns));
        } else {
            const WeightedMembers::Gaps gaps(members(), question.excluded);
            set_chances(explanation, chances_of_two(members(), gaps, costs));
        }
        return explanation;
    }

private:
    std::optional<std::uint32_t> best_of_all(std::uint64_t turn, const Excluded& excluded,
                                             std::int64_t now_ns) const {
        if (members().empty()) {
            return std::nullopt;
        }
        const std::span<const WeightedMembers::Entry> entries = members().entries();
        // Where to start decides between equals, that is between members not yet seen.
        const auto start = static_cast<std::size_t>(turn % entries.size());
        std::optional<std::uint32_t> best;
        double best_cost = 0;
        for (std::size_t i = 0; i < entries.size(); ++i) {
            const std::size_t at = start + i;
            const auto& entry = entries[at < entries.size() ? at : at - entries.size()];
            if (excluded.contains(entry.slot)) {
                continue;
            }
            const double here = cost(entry, now_ns);
            if (!best || here < best_cost) {
                best = entry.slot;
                best_cost = here;
            }
        }
        return best;
    }

    std::optional<std::uint32_t> better_of_two(const Pick& pick, std::int64_t now_ns) const {
        WeightedMembers::Gaps gaps(members(), pick.excluded);
        const auto first = members().draw(pick.rng, gaps);
        if (!first) {
            return std::nullopt;
        }
        gaps.add(*first);
        const auto second = members().draw(pick.rng, gaps);
        if (second && cost(members()[*second], now_ns) < cost(members()[*first], now_ns)) {
            return members()[*second].slot;
        }
        return members()[*first].slot;
    }

    Cursor& cursor_;
};

}  // namespace

std::unique_ptr<const Policy> make_peak_ewma(std::span<const Member> members, Cursor& cursor) {
    return std::make_unique<PeakEwma>(members, cursor);
}

void observe_latency(Load& load, std::chrono::nanoseconds response_time, MonotonicTime now) {
    const auto sample = static_cast<double>(std::max<std::int64_t>(1, response_time.count()));
    const std::int64_t now_ns = nanoseconds(now);
    const auto seen = static_cast<double>(load.ewma_ns.load(std::memory_order_relaxed));
    const std::int64_t at_ns = load.ewma_at_ns.load(std::memory_order_relaxed);
    double estimate = sample;
    if (sample < seen) {
        const double kept = kept_share(at_ns, now_ns);
        estimate = (seen * kept) + (sample * (1 - kept));
    }
    load.ewma_ns.store(static_cast<std::uint64_t>(estimate), std::memory_order_relaxed);
    load.ewma_at_ns.store(std::max(at_ns, now_ns), std::memory_order_relaxed);
}

void observe_failure(Load& load, std::chrono::nanoseconds waited, MonotonicTime now) {
    const auto seen = static_cast<double>(load.ewma_ns.load(std::memory_order_relaxed));
    const std::int64_t at_ns = load.ewma_at_ns.load(std::memory_order_relaxed);
    if (static_cast<double>(waited.count()) > seen * kept_share(at_ns, nanoseconds(now))) {
        load.ewma_ns.store(static_cast<std::uint64_t>(waited.count()), std::memory_order_relaxed);
        load.ewma_at_ns.store(std::max(at_ns, nanoseconds(now)), std::memory_order_relaxed);
    }
}

}  // namespace rproxy::balancing
