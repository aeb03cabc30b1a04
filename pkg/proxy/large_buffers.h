#pragma once

#include "http/buffer.h"

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

namespace rproxy::proxy {

/// A worker's large buffers, lent to bodies that come faster than their own buffer takes them:
/// fewer and larger reads and writes (docs/performance.md). Each is held only while something is in
/// it, so that one serves many transfers; a receiver that does not keep up holds its own, and when
/// all are lent the rest goes on through buffers of the usual size. Worker thread only.
class LargeBuffers {
public:
    /// From now on; 0 lends none. Buffers of another size go as they come back.
    void configure(std::size_t size, std::size_t most) {
        if (size != size_) {
            idle_.clear();
        }
        size_ = size;
        most_ = most;
        idle_.reserve(kMostIdle);
    }
    std::size_t size() const { return size_; }
    std::size_t lent() const { return lent_; }

    /// An empty buffer of size(); nothing if as many as may be are lent.
    std::optional<http::Buffer> lend() {
        if (lent_ >= most_ || size_ == 0) {
            return std::nullopt;
        }
        ++lent_;
        http::Buffer buffer;
        if (!idle_.empty()) {
            buffer = std::move(idle_.back());
            idle_.pop_back();
        } else {
            buffer.reserve(size_);
        }
        return buffer;
    }
    void take_back(http::Buffer buffer) {
        --lent_;
        if (buffer.capacity() == size_ && idle_.size() < kMostIdle) {
            buffer.clear();
            idle_.push_back(std::move(buffer));
        }
    }

private:
    /// Kept for the next: what a turn of the loop needs; the rest is given back to the system.
    static constexpr std::size_t kMostIdle = 8;

    std::size_t size_{0};
    std::size_t most_{0};
    std::size_t lent_{0};
    std::vector<http::Buffer> idle_;
};

}  // namespace rproxy::proxy
