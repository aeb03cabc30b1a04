#include "balancing/policy.h"

#include <algorithm>
#include <utility>

namespace rproxy::balancing {

namespace {

class WithReserve final : public Policy {
public:
    WithReserve(std::unique_ptr<const Policy> first, std::unique_ptr<const Policy> reserve)
        : first_(std::move(first)), reserve_(std::move(reserve)) {}

    std::optional<std::uint32_t> pick(const Pick& pick) const override {
        const auto slot = first_->pick(pick);
        return slot ? slot : reserve_->pick(pick);
    }
    void load_changed(std::uint32_t slot) const override {
        first_->load_changed(slot);
        reserve_->load_changed(slot);
    }
    Explanation explain(const Question& question) const override {
        Explanation explanation = first_->explain(question);
        const bool nobody = std::ranges::all_of(
            explanation.ranked, [](const Standing& standing) { return standing.chance == 0; });
        Explanation reserve = reserve_->explain(question);
        if (nobody) {
            explanation.measure = reserve.measure;
            explanation.decided_by = reserve.decided_by;
        }
        for (Standing& standing : reserve.ranked) {
            if (!reserve_->offers(standing.slot)) {
                continue;
            }
            standing.note = "in reserve for when nobody else is left";
            standing.chance = nobody ? standing.chance : 0;
            const auto at = std::ranges::find(explanation.ranked, standing.slot, &Standing::slot);
            if (at == explanation.ranked.end()) {
                explanation.ranked.push_back(standing);
            } else {
                *at = standing;
            }
        }
        std::ranges::sort(explanation.ranked, {}, &Standing::slot);
        return explanation;
    }
    std::size_t eligible() const override { return first_->eligible(); }
    bool offers(std::uint32_t slot) const override { return first_->offers(slot); }
    bool has_other_than(const Excluded& excluded) const override {
        return first_->has_other_than(excluded) || reserve_->has_other_than(excluded);
    }

private:
    std::unique_ptr<const Policy> first_;
    std::unique_ptr<const Policy> reserve_;
};

}  // namespace

std::unique_ptr<const Policy> make_with_reserve(std::unique_ptr<const Policy> first,
                                                std::unique_ptr<const Policy> reserve) {
    return std::make_unique<WithReserve>(std::move(first), std::move(reserve));
}

}  // namespace rproxy::balancing
