#pragma once

#include "balancing/policy.h"
#include "base/endpoint.h"
#include "metrics/bounds.h"
#include "metrics/cell.h"
#include "metrics/labels.h"
#include "net/socket.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace rproxy::backends {

/// What one worker counts of one backend. Written by that worker only.
struct alignas(64) BackendCells {
    metrics::Gauge connections_active;  ///< Open: in use and idle.
    metrics::Gauge connections_idle;
    metrics::Counter connections_total;
    metrics::Counter connection_reuses_total;
    metrics::CounterSet<metrics::ConnectionFailure> connection_failures;
    metrics::Gauge requests_active;
    metrics::CounterSet<metrics::CodeClass> requests;
    metrics::CounterSet<metrics::ResponseFailure> response_failures;
    metrics::Counter sent_bytes;
    metrics::Counter received_bytes;
    metrics::Timestamp last_request;
    metrics::Histogram<metrics::kLatencyBounds> response_duration;
    metrics::Histogram<metrics::kLatencyBounds> connect_duration;
};

/// Who a backend is: what survives a reload is found by this.
struct BackendKey {
    std::string pool;
    std::string address;  ///< Endpoint::to_string of the address connected to, never of a DNS name.
    friend auto operator<=>(const BackendKey&, const BackendKey&) = default;
};

/// One backend for as long as some configuration (or unfinished request) knows it: its address, its
/// load and its counts. Shared by all threads; what changes is atomic. Health is decided on the
/// control thread (HealthTracker) and reaches the workers as a new balancing::Policy, not through
/// here.
class Backend {
public:
    Backend(BackendKey key, net::SocketAddress address, std::size_t workers)
        : key_(std::move(key)), address_(address), cells_(workers) {}

    const BackendKey& key() const { return key_; }
    const net::SocketAddress& address() const { return address_; }
    balancing::Load& load() { return load_; }
    const balancing::Load& load() const { return load_; }
    BackendCells& cells(std::size_t worker) { return cells_[worker]; }
    const std::vector<BackendCells>& all_cells() const { return cells_; }

    /// Of the name it came from, or that has no address yet. Counted by the control thread only.
    metrics::Counter look_up_failures;
    /// Set while failures are on record, so that workers report successes only then.
    std::atomic<bool> suspect{false};
    /// Reports posted to the control thread and not yet read; bounds a flood of failures.
    std::atomic<std::uint32_t> reports_pending{0};

private:
    const BackendKey key_;
    const net::SocketAddress address_;
    balancing::Load load_;
    std::vector<BackendCells> cells_;
};

/// Why an attempt failed, as far as the backend's health is concerned.
enum class TrafficFailure : std::uint8_t { Refused, Reset, Timeout, HttpStatus };

/// Told by the workers what traffic shows of a backend. Any thread; never blocks.
class TrafficObserver {
public:
    virtual ~TrafficObserver() = default;
    virtual void traffic_failed(const std::shared_ptr<Backend>& backend,
                                TrafficFailure failure) = 0;
    /// Only while the backend is suspect.
    virtual void traffic_succeeded(const std::shared_ptr<Backend>& backend) = 0;
};

}  // namespace rproxy::backends
