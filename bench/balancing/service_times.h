#pragma once

#include "simulation.h"

#include <cmath>

namespace rproxy::simulation {

inline Duration seconds(double value) {
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(value));
}

/// Memoryless, with the given mean.
inline auto exponential(Duration mean) {
    return [mean = std::chrono::duration<double>(mean).count()](Rng& rng) {
        return seconds(-std::log(1 - rng.unit()) * mean);
    };
}

/// Bounded Pareto, shape 1.5, from a third of the mean to 300 times that: most requests are short,
/// one in a thousand takes forty times the mean.
inline auto heavy_tailed(Duration mean) {
    constexpr double kShape = 1.5;
    constexpr double kReach = 900;
    // The mean of the distribution on [1, kReach].
    const double unit_mean = (kShape / (kShape - 1)) * (1 - std::pow(kReach, 1 - kShape)) /
                             (1 - std::pow(kReach, -kShape));
    const double scale = std::chrono::duration<double>(mean).count() / unit_mean;
    return [scale](Rng& rng) {
        const double u = rng.unit() * (1 - std::pow(kReach, -kShape));
        return seconds(scale * std::pow(1 - u, -1 / kShape));
    };
}

/// Uniform within `spread` around the mean.
inline auto uniform(Duration mean, Duration spread) {
    return [mean, spread](Rng& rng) {
        return mean - spread +
               Duration(static_cast<Duration::rep>(2 * rng.unit() *
                                                   static_cast<double>(spread.count())));
    };
}

}  // namespace rproxy::simulation
