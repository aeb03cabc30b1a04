#include "balancing/policy.h"

#include <utility>

namespace rproxy::balancing {

namespace {

class Pinned final : public Policy {
public:
    Pinned(std::uint32_t slot, std::unique_ptr<const Policy> fallback)
        : slot_(slot), offered_(fallback->offers(slot)), fallback_(std::move(fallback)) {}

    std::optional<std::uint32_t> pick(const Pick& pick) const override {
        if (offered_ && !pick.excluded.contains(slot_)) {
            return slot_;
        }
        return fallback_->pick(pick);
    }
    void load_changed(std::uint32_t slot) const override { fallback_->load_changed(slot); }
    Explanation explain(const Question& question) const override {
        Explanation explanation = fallback_->explain(question);
        if (offered_ && !question.excluded.contains(slot_)) {
            explanation.decided_by = "interval";
            for (Standing& standing : explanation.ranked) {
                standing.chance = standing.slot == slot_ ? 1 : 0;
            }
        }
        return explanation;
    }
    std::size_t eligible() const override { return fallback_->eligible(); }
    bool offers(std::uint32_t slot) const override { return fallback_->offers(slot); }
    bool has_other_than(const Excluded& excluded) const override {
        return fallback_->has_other_than(excluded);
    }

private:
    std::uint32_t slot_;
    bool offered_;
    std::unique_ptr<const Policy> fallback_;
};

}  // namespace

std::unique_ptr<const Policy> make_pinned(std::uint32_t slot,
                                          std::unique_ptr<const Policy> fallback) {
    return std::make_unique<Pinned>(slot, std::move(fallback));
}

}  // namespace rproxy::balancing
