#pragma once

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace rproxy::bench {

/// Counts durations with a relative error below 1 % (128 buckets for each power of two).
class Histogram {
public:
    void record(std::chrono::nanoseconds duration) {
        const auto value = static_cast<std::uint64_t>(std::max<std::int64_t>(duration.count(), 0));
        ++counts_[index_of(value)];
        ++total_;
    }

    /// The duration that `share` (0 to 1) of all recorded ones do not exceed; 0 when empty.
    std::chrono::nanoseconds quantile(double share) const {
        const auto wanted = static_cast<std::uint64_t>(share * static_cast<double>(total_));
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i < counts_.size(); ++i) {
            seen += counts_[i];
            if (seen > wanted || (seen == total_ && seen > 0)) {
                return std::chrono::nanoseconds{static_cast<std::int64_t>(value_of(i))};
            }
        }
        return std::chrono::nanoseconds{0};
    }

    std::uint64_t total() const { return total_; }

private:
    static constexpr unsigned kBits = 7;
    static constexpr std::uint64_t kPerPower = std::uint64_t{1} << kBits;

    /// Values below 2 * kPerPower are exact; above, the top kBits + 1 bits choose the bucket.
    static std::size_t index_of(std::uint64_t value) {
        const auto width = static_cast<unsigned>(std::bit_width(value));
        const unsigned shift = width > kBits + 1 ? width - (kBits + 1) : 0;
        return static_cast<std::size_t>((shift * kPerPower) + (value >> shift));
    }

    static std::uint64_t value_of(std::size_t index) {
        const std::uint64_t shift = index < 2 * kPerPower ? 0 : (index / kPerPower) - 1;
        return (index - (shift * kPerPower)) << shift;
    }

    std::vector<std::uint64_t> counts_ = std::vector<std::uint64_t>((64 - kBits + 1) * kPerPower);
    std::uint64_t total_{0};
};

}  // namespace rproxy::bench
