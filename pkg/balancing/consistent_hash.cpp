#include "balancing/maglev.h"
#include "balancing/methods.h"
#include "balancing/weighted_members.h"

#include <algorithm>
#include <atomic>
#include <vector>

namespace rproxy::balancing {

namespace {

/// Mirrokni, Thorup, Zadimoghaddam, "Consistent Hashing with Bounded Loads", SODA 2018: a member
/// takes at most its fair share of the requests in flight times 5/4, rounded up; what is above goes
/// to the next choice of its hash.
class ConsistentHash final : public MemberPolicy {
public:
    explicit ConsistentHash(std::span<const Member> members)
        : MemberPolicy(members), table_(members), counted_(this->members().size()) {
        for (std::uint32_t index = 0; index < counted_.size(); ++index) {
            count(index);
        }
    }

    std::optional<std::uint32_t> pick(const Pick& pick) const override {
        if (members().empty()) {
            return std::nullopt;
        }
        const Request request{pick.hash, total_in_flight(), pick.excluded};
        std::optional<std::uint32_t> least;  // An index: the best of those that are full.
        if (const auto slot = own_choice(request, least)) {
            return slot;
        }
        if (!least) {
            return last_resort(request);
        }
        for (unsigned attempt = 0; attempt < kAttempts; ++attempt) {
            const auto other = static_cast<unsigned>(pick.rng.next() >> 32U);
            if (const auto slot = try_choice(request, other, least)) {
                return slot;
            }
        }
        return members()[*least].slot;
    }

    Explanation explain(const Question& question) const override {
        Explanation explanation{
            "place among the choices of the hash, 0 is its home; the first one "
            "that is offered and has room wins",
            "hash", standings()};
        if (members().empty()) {
            return explanation;
        }
        const Request request{question.hash, total_in_flight(), question.excluded};
        rank_choices(table_, question.hash, kAttempts, explanation.ranked);
        for (Standing& standing : explanation.ranked) {
            const auto index = members().index_of(standing.slot);
            if (index && !has_room(*index, request.total)) {
                standing.note = "above 5/4 of its fair share";
            }
        }
        std::optional<std::uint32_t> least;
        const auto own = own_choice(request, least);
        if (own || !least) {
            settle(explanation, own ? own : last_resort(request));
        } else {
            explanation.decided_by = "chance";
            spread_by_chance(explanation, request, members()[*least].slot);
        }
        return explanation;
    }

    void load_changed(std::uint32_t slot) const override {
        if (const auto index = members().index_of(slot)) {
            count(*index);
        }
    }

private:
    /// So many choices are the hash's own. A single hot key can fill them all in a large pool; then
    /// affinity has nothing left to give, and as many by chance follow. At least a fifth of the
    /// members (by weight) is below 5/4 of the mean, so hardly one pick in a thousand finds no
    /// room.
    static constexpr unsigned kAttempts = 32;

    struct Request {
        std::uint64_t hash;
        std::uint64_t total;  ///< In flight over all members.
        const Excluded& excluded;
    };

    std::uint64_t total_in_flight() const {
        return static_cast<std::uint64_t>(
            std::max<std::int64_t>(0, total_in_flight_.load(std::memory_order_relaxed)));
    }
    std::optional<std::uint32_t> own_choice(const Request& request,
                                            std::optional<std::uint32_t>& least) const {
        for (unsigned attempt = 0; attempt < kAttempts; ++attempt) {
            if (const auto slot = try_choice(request, attempt, least)) {
                return slot;
            }
        }
        return std::nullopt;
    }
    /// The hash's choice number `attempt` if it is offered and has room; else remembers it in
    /// `least` if it is the least loaded so far.
    std::optional<std::uint32_t> try_choice(const Request& request, unsigned attempt,
                                            std::optional<std::uint32_t>& least) const {
        const std::uint32_t slot = table_.choice(request.hash, attempt);
        const auto index = members().index_of(slot);
        if (!index || request.excluded.contains(slot)) {
            return std::nullopt;
        }
        if (has_room(*index, request.total)) {
            return slot;
        }
        if (!least || is_less_loaded(*index, *least)) {
            least = index;
        }
        return std::nullopt;
    }
    /// For when nearly everybody is away.
    std::optional<std::uint32_t> last_resort(const Request& request) const {
        const WeightedMembers::Gaps gaps(members(), request.excluded);
        if (gaps.remaining_weight() == 0) {
            return std::nullopt;
        }
        return members()[members().owner(request.hash % gaps.remaining_weight(), gaps)].slot;
    }
    /// The hash has filled all of its own choices: those with room share it by weight. (One pick in
    /// a thousand or fewer misses them all and takes the least loaded of its own.)
    void spread_by_chance(Explanation& explanation, const Request& request,
                          std::uint32_t least) const {
        double weight = 0;
        for (std::uint32_t index = 0; index < members().size(); ++index) {
            weight += takes(index, request) ? members()[index].weight : 0;
        }
        if (weight == 0) {
            settle(explanation, least);
            return;
        }
        for (Standing& standing : explanation.ranked) {
            const auto index = members().index_of(standing.slot);
            if (index && takes(*index, request)) {
                standing.chance = members()[*index].weight / weight;
            }
        }
    }
    bool takes(std::uint32_t index, const Request& request) const {
        return has_room(index, request.total) && !request.excluded.contains(members()[index].slot);
    }

    std::uint64_t in_flight(std::uint32_t index) const {
        return members()[index].load->in_flight.load(std::memory_order_relaxed);
    }
    bool has_room(std::uint32_t index, std::uint64_t total) const {
        // in_flight + 1 <= ceil(5/4 * (total + 1) * weight / total_weight), multiplied out.
        return in_flight(index) * 4 * members().total_weight() <
               5 * (total + 1) * members()[index].weight;
    }
    bool is_less_loaded(std::uint32_t a, std::uint32_t b) const {
        return (in_flight(a) + 1) * members()[b].weight < (in_flight(b) + 1) * members()[a].weight;
    }
    /// The exchange hands each difference to one caller only, so the total is always the sum of
    /// what was counted, whoever races.
    void count(std::uint32_t index) const {
        const auto now = static_cast<std::int64_t>(in_flight(index));
        const std::int64_t before = counted_[index].exchange(now, std::memory_order_relaxed);
        total_in_flight_.fetch_add(now - before, std::memory_order_relaxed);
    }

    MaglevTable table_;
    mutable std::vector<std::atomic<std::int64_t>> counted_;
    mutable std::atomic<std::int64_t> total_in_flight_{0};
};

}  // namespace

std::unique_ptr<const Policy> make_consistent_hash(std::span<const Member> members) {
    return std::make_unique<ConsistentHash>(members);
}

}  // namespace rproxy::balancing
