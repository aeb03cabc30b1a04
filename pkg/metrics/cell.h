#pragma once

#include "base/clock.h"
#include "metrics/labels.h"

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

/// What the data path counts with. A cell has one writing thread and any number of readers: a
/// write is a relaxed load and a relaxed store (no locked instruction), a read may be a moment old
/// but never torn. Cells of different workers belong on different cache lines: give the struct that
/// holds one worker's cells `alignas(64)` and sum the workers at scrape.
namespace rproxy::metrics {

/// Only grows.
class Counter {
public:
    void add(std::uint64_t n = 1) {
        value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
    std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::uint64_t> value_{0};
};

/// Goes up and down. One worker's part may be negative (opened here, closed there); the sum is not.
class Gauge {
public:
    void add(std::int64_t n = 1) { set(value_.load(std::memory_order_relaxed) + n); }
    void sub(std::int64_t n = 1) { add(-n); }
    void set(std::int64_t n) { value_.store(n, std::memory_order_relaxed); }
    std::int64_t value() const { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::int64_t> value_{0};
};

/// When something last happened.
class Timestamp {
public:
    void set(WallTime at) {
        milliseconds_.store(
            std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count(),
            std::memory_order_relaxed);
    }
    /// Back to never, e.g. "down since" when the backend is up again.
    void clear() { milliseconds_.store(0, std::memory_order_relaxed); }
    /// Unix time in milliseconds; 0: never. Over workers, the latest is the greatest.
    std::int64_t milliseconds() const { return milliseconds_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::int64_t> milliseconds_{0};
};

/// One Counter for each value of a label.
template <typename Label>
class CounterSet {
public:
    Counter& operator[](Label label) { return counters_[static_cast<std::size_t>(label)]; }
    const Counter& operator[](Label label) const {
        return counters_[static_cast<std::size_t>(label)];
    }

private:
    std::array<Counter, label_count<Label>()> counters_;
};

/// Sums the counter sets of several workers.
template <typename Label>
class CounterSetSum {
public:
    void add(const CounterSet<Label>& set) {
        for (std::size_t i = 0; i < values_.size(); ++i) {
            values_[i] += set[static_cast<Label>(i)].value();
        }
    }
    void add(Label label, std::uint64_t count) {
        values_[static_cast<std::size_t>(label)] += count;
    }
    std::span<const std::uint64_t> values() const { return values_; }

private:
    std::array<std::uint64_t, label_count<Label>()> values_{};
};

/// Durations in the buckets that `Bounds` (a constexpr array of ascending nanoseconds, see
/// bounds.h) divides them into, and one more bucket for what is longer.
template <const auto& Bounds>
class Histogram {
public:
    static constexpr std::size_t kBuckets = Bounds.size() + 1;

    void observe(std::chrono::nanoseconds duration) {
        std::size_t bucket = 0;
        while (bucket < Bounds.size() && duration > Bounds[bucket]) {
            ++bucket;
        }
        buckets_[bucket].add();
        // A clock read on two cores may go backwards by a little; a sum must not.
        sum_.add(duration.count() > 0 ? static_cast<std::uint64_t>(duration.count()) : 0);
    }
    const Counter& bucket(std::size_t index) const { return buckets_[index]; }
    std::chrono::nanoseconds sum() const {
        return std::chrono::nanoseconds{static_cast<std::int64_t>(sum_.value())};
    }

private:
    std::array<Counter, kBuckets> buckets_;
    Counter sum_;
};

/// Sums the histograms of several workers.
template <const auto& Bounds>
class HistogramSum {
public:
    void add(const Histogram<Bounds>& histogram) {
        for (std::size_t i = 0; i < counts_.size(); ++i) {
            counts_[i] += histogram.bucket(i).value();
        }
        sum_ += histogram.sum();
    }
    /// Per bucket, not cumulative; the last one is what exceeded every bound.
    std::span<const std::uint64_t> counts() const { return counts_; }
    std::chrono::nanoseconds sum() const { return sum_; }

private:
    std::array<std::uint64_t, Histogram<Bounds>::kBuckets> counts_{};
    std::chrono::nanoseconds sum_{0};
};

/// For what several threads count, rarely: a locked instruction per add. Any thread.
class SharedCounter {
public:
    void add(std::uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
    std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::uint64_t> value_{0};
};

}  // namespace rproxy::metrics
