#pragma once

#include "backends/retry_reserve.h"
#include "balancing/policy.h"
#include "metrics/bounds.h"
#include "metrics/cell.h"
#include "metrics/labels.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace rproxy::backends {

/// Counts by exact status code and method: a row of methods appears with the code's first answer,
/// so that 500 codes cost nothing until they are seen. Written by one worker, read by any thread.
class CodeCounters {
public:
    using Row = metrics::CounterSet<metrics::RequestMethod>;
    static constexpr std::uint16_t kFirst = 100;
    static constexpr std::uint16_t kLast = 599;

    CodeCounters() = default;
    ~CodeCounters() {
        for (auto& row : rows_) {
            delete row.load(std::memory_order_relaxed);
        }
    }
    CodeCounters(const CodeCounters&) = delete;
    CodeCounters& operator=(const CodeCounters&) = delete;

    void add(std::uint16_t code, metrics::RequestMethod method) {
        if (code < kFirst || code > kLast) {
            return;
        }
        auto& slot = rows_[code - kFirst];
        Row* row = slot.load(std::memory_order_relaxed);
        if (row == nullptr) {
            row = std::make_unique<Row>().release();
            slot.store(row, std::memory_order_release);
        }
        (*row)[method].add();
    }
    /// Null if the code was never seen.
    const Row* row(std::uint16_t code) const {
        return rows_[code - kFirst].load(std::memory_order_acquire);
    }

private:
    std::array<std::atomic<Row*>, kLast - kFirst + 1> rows_{};
};

/// What one worker counts of one pool. Written by that worker only.
struct alignas(64) PoolCells {
    CodeCounters requests;
    std::array<metrics::Histogram<metrics::kLatencyBounds>,
               metrics::label_count<metrics::CodeClass>()>
        request_duration;
    metrics::CounterSet<metrics::RetryReason> retries;
    metrics::CounterSet<metrics::RetryDenial> retries_denied;
    metrics::Counter no_backend;
    metrics::Counter fail_open_requests;
    metrics::Gauge queue_length;
    metrics::CounterSet<metrics::QueueRejection> queue_rejections;
    metrics::Histogram<metrics::kLatencyBounds> queue_duration;
    metrics::Gauge upgraded_connections_active;
};

/// What a pool keeps over reloads, by its name: the turn of its round robin, its reserve of retries
/// and its counts. Shared by all threads.
class PoolState {
public:
    PoolState(std::string name, std::uint64_t first_turn, std::size_t workers)
        : name_(std::move(name)), cursor_(first_turn), cells_(workers) {
        for (auto& cells : cells_) {
            cells = std::make_unique<PoolCells>();
        }
    }

    const std::string& name() const { return name_; }
    balancing::Cursor& cursor() { return cursor_; }
    PoolCells& cells(std::size_t worker) { return *cells_[worker]; }
    const std::vector<std::unique_ptr<PoolCells>>& all_cells() const { return cells_; }
    RetryReserve& retry_reserve() { return retry_reserve_; }
    /// Requests waiting for a slot, over all workers.
    std::atomic<std::uint32_t> waiting{0};

private:
    const std::string name_;
    balancing::Cursor cursor_;
    RetryReserve retry_reserve_;
    std::vector<std::unique_ptr<PoolCells>> cells_;
};

}  // namespace rproxy::backends
