#pragma once

#include <cstdint>
#include <string_view>

namespace rproxy {

/// FNV-1a with a final avalanche (the MurmurHash3 finaliser). The same on every machine and in
/// every release: replicas must make the same hash choices. Not against adversaries.
constexpr std::uint64_t stable_hash(std::string_view bytes, std::uint64_t seed = 0) {
    std::uint64_t h = 0xcbf29ce484222325U ^ seed;
    for (const char c : bytes) {
        h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
    }
    h = (h ^ (h >> 33U)) * 0xff51afd7ed558ccdU;
    h = (h ^ (h >> 33U)) * 0xc4ceb9fe1a85ec53U;
    return h ^ (h >> 33U);
}

/// Mixes two hashes into one; the order matters.
constexpr std::uint64_t combine_hashes(std::uint64_t a, std::uint64_t b) {
    std::uint64_t h = a ^ (b + 0x9e3779b97f4a7c15U + (a << 12U) + (a >> 4U));
    h = (h ^ (h >> 33U)) * 0xff51afd7ed558ccdU;
    h = (h ^ (h >> 33U)) * 0xc4ceb9fe1a85ec53U;
    return h ^ (h >> 33U);
}

}  // namespace rproxy
