#pragma once

#include "base/rng.h"

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace rproxy::test {

/// Gives the scripted numbers in turn, over and over; zeros without a script.
class ScriptedRng final : public Rng {
public:
    explicit ScriptedRng(std::vector<std::uint64_t> numbers = {}) : numbers_(std::move(numbers)) {}
    std::uint64_t next() override {
        return numbers_.empty() ? 0 : numbers_[given_++ % numbers_.size()];
    }
    std::size_t given() const { return given_; }
    /// A number for which `unit()` is `fraction` (0 to below 1) and `below(n)` about fraction × n.
    static std::uint64_t at(double fraction) {
        return static_cast<std::uint64_t>(fraction * 0x1.0p53) << 11U;
    }

private:
    std::vector<std::uint64_t> numbers_;
    std::size_t given_{0};
};

}  // namespace rproxy::test
