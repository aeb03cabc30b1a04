#pragma once

#include "base/clock.h"

#include <algorithm>
#include <chrono>
#include <cstddef>

namespace rproxy::tls {

/// How large the next record is. A record is of no use to its reader before it is there as a whole,
/// and after a pause the first flight is ten segments (RFC 6928): one record of 16 KiB would be
/// waited for a whole round trip longer. So the first bytes fit one segment, overlay networks
/// included, the rest of the flight comes in records of 4 KiB, and what follows in records as large
/// as may be, which cost least. Pure.
class RecordSize {
public:
    static constexpr std::size_t kLargest = 16384;
    static constexpr std::size_t kFirst = 1340;
    static constexpr std::size_t kFlight = 10 * kFirst;
    static constexpr std::size_t kInFlight = 4096;
    /// The congestion window is small again about then (RFC 9293 §3.8.1).
    static constexpr std::chrono::seconds kPause{1};

    /// Before the records of one write.
    void begin_write(MonotonicTime now) {
        if (now - last_ >= kPause) {
            written_ = 0;
        }
        last_ = now;
    }
    std::size_t limit() const {
        return written_ < kFirst ? kFirst : (written_ < kFlight ? kInFlight : kLargest);
    }
    void wrote(std::size_t bytes) { written_ = std::min(written_ + bytes, kFlight); }

private:
    MonotonicTime last_{};
    std::size_t written_{0};
};

}  // namespace rproxy::tls
