#pragma once

#include "net/event_loop.h"

#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>
#include <thread>

namespace rproxy::runtime {

/// One thread with its loop. Created and destroyed by the control thread.
class Worker {
public:
    explicit Worker(std::size_t index) : index_(index) {}
    ~Worker() { stop(); }
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    /// Starts the thread, named `rproxy-w<index>`.
    void start();
    /// Runs what was posted, then ends the thread. Idempotent.
    void stop();

    std::size_t index() const { return index_; }
    net::EventLoop& loop() { return loop_; }
    const net::EventLoop& loop() const { return loop_; }

private:
    const std::size_t index_;
    net::EventLoop loop_;
    std::thread thread_;
};

/// The CPUs that this process may use: the affinity mask, cut down to the cgroup's quota (v2, then
/// v1), rounded up; at least 1. Not the node's count: in a container with half a CPU, eight workers
/// would only wait for each other.
std::size_t available_cpus();

/// The quota part, for tests: the content of cpu.max ("max 100000", "50000 100000").
std::size_t cpus_of_quota(std::string_view cpu_max, std::size_t otherwise);

}  // namespace rproxy::runtime
