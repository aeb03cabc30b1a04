#pragma once

#include "metrics/exposition.h"

#include <cstdint>
#include <filesystem>
#include <optional>

namespace rproxy::metrics {

/// What the kernel knows of this process; what it would not tell is absent.
struct ProcessStats {
    std::optional<double> cpu_seconds;
    std::optional<double> start_time_seconds;  ///< Unix time.
    std::optional<std::uint64_t> resident_bytes;
    std::optional<std::uint64_t> virtual_bytes;
    std::optional<std::uint64_t> open_fds;
    std::optional<std::uint64_t> max_fds;
};

/// Reads a few small files of `proc`. Any thread; not for a worker.
ProcessStats read_process_stats(const std::filesystem::path& proc = "/proc");

/// The memory limit of this container (cgroup v2 or v1), absent without one.
std::optional<std::uint64_t> read_memory_limit(
    const std::filesystem::path& cgroup = "/sys/fs/cgroup");

/// The `process_*` families, with the names that every Prometheus client library gives them.
void add_process(Exposition& exposition, const ProcessStats& stats);

}  // namespace rproxy::metrics
