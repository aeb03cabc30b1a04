#pragma once

#include "base/clock.h"

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

/// What a method would choose and why, told without choosing: for people who ask where a request
/// would go. Nothing is drawn and no turn is taken, so the traffic does not notice the question.
namespace rproxy::balancing {

class Excluded;

/// The facts of a choice that is only told of.
struct Question {
    std::uint64_t hash;  ///< As in Pick.
    MonotonicTime now;
    const Excluded& excluded;
};

/// How one member stands in the choice.
struct Standing {
    std::uint32_t slot{0};
    std::optional<double> score;  ///< What Explanation::measure says; nothing where it has none.
    double chance{0};             ///< That the next pick() returns it; exactly 1: it does.
    std::string_view note;        ///< Why the method passes it over; static, mostly empty.
};

struct Explanation {
    std::string_view measure;      ///< What the scores are and which one wins. Static text.
    std::string_view decided_by;   ///< What settles it: `score`, `turn`, `chance` … Static text.
    std::vector<Standing> ranked;  ///< By slot. One that is not offered has chance 0.

    /// The slot that the next pick() returns if nothing changes until then; nothing where chance
    /// decides, or where there is nobody.
    std::optional<std::uint32_t> certain() const {
        for (const Standing& standing : ranked) {
            if (standing.chance == 1) {
                return standing.slot;
            }
        }
        return std::nullopt;
    }
};

}  // namespace rproxy::balancing
