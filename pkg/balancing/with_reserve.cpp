#include "balancing/policy.h"

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
