#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace rproxy {

/// A source of random numbers, passed in so that tests can script it. Not for secrets. Not shared
/// between threads.
class Rng {
public:
    virtual ~Rng() = default;
    /// 64 uniform bits.
    virtual std::uint64_t next() = 0;

    /// Uniform in [0, bound); 0 if bound is 0. Multiply-shift (Lemire, "Fast Random Integer
    /// Generation in an Interval", 2019) without the rejection step: the bias is below 2^-32 for
    /// the bounds used here.
    std::uint32_t below(std::uint32_t bound) {
        return static_cast<std::uint32_t>(((next() >> 32U) * bound) >> 32U);
    }
    /// Uniform in [0, 1).
    double unit() { return static_cast<double>(next() >> 11U) * 0x1.0p-53; }
};

/// xoshiro256** 1.0 by Blackman and Vigna (https://prng.di.unimi.it), seeded by SplitMix64.
class XoshiroRng final : public Rng {
public:
    explicit XoshiroRng(std::uint64_t seed) {
        for (auto& word : state_) {
            seed += 0x9e3779b97f4a7c15U;
            std::uint64_t z = seed;
            z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
            z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
            word = z ^ (z >> 31U);
        }
    }
    std::uint64_t next() override {
        const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
        const std::uint64_t t = state_[1] << 17U;
        state_[2] ^= state_[0];
        state_[3] ^= state_[1];
        state_[1] ^= state_[2];
        state_[0] ^= state_[3];
        state_[2] ^= t;
        state_[3] = std::rotl(state_[3], 45);
        return result;
    }

private:
    std::array<std::uint64_t, 4> state_{};
};

}  // namespace rproxy
