#include "metrics/process.h"

#include "base/strings.h"

#include <unistd.h>

#include <charconv>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace rproxy::metrics {

namespace {

std::string read_file(const std::filesystem::path& path) {
    std::ifstream file{path};
    return {std::istreambuf_iterator<char>{file}, {}};
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size() ? std::optional{value}
                                                                    : std::nullopt;
}

/// The words of the line that begins with `key`, without it.
std::vector<std::string_view> line_of(std::string_view text, std::string_view key) {
    for (const auto line : split_any(text, "\n")) {
        if (line.starts_with(key)) {
            return split_any(line.substr(key.size()), " \t");
        }
    }
    return {};
}

/// Adds what /proc/PID/stat says; fields are numbered as in proc(5).
void read_stat(ProcessStats& stats, const std::filesystem::path& proc) {
    const auto text = read_file(proc / "self/stat");
    // The second field is the program's name in parentheses and may hold any of both and spaces.
    const auto name_end = text.rfind(')');
    if (name_end == std::string::npos) {
        return;
    }
    const auto fields = split_any(std::string_view{text}.substr(name_end + 1), " \n");
    const auto field = [&](std::size_t number) {
        const auto index = number - 3;
        return index < fields.size() ? parse_number(fields[index]) : std::nullopt;
    };
    const auto ticks_per_second = static_cast<double>(::sysconf(_SC_CLK_TCK));
    const auto user = field(14);
    const auto system = field(15);
    if (user && system) {
        stats.cpu_seconds = static_cast<double>(*user + *system) / ticks_per_second;
    }
    stats.virtual_bytes = field(23);
    if (const auto pages = field(24)) {
        stats.resident_bytes = *pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    }
    const auto kernel_text = read_file(proc / "stat");
    const auto boot_time = line_of(kernel_text, "btime");
    const auto boot = boot_time.empty() ? std::nullopt : parse_number(boot_time.front());
    const auto started = field(22);
    if (boot && started) {
        stats.start_time_seconds =
            static_cast<double>(*boot) + static_cast<double>(*started) / ticks_per_second;
    }
}

std::optional<std::uint64_t> count_entries(const std::filesystem::path& folder) {
    std::error_code error;
    std::filesystem::directory_iterator entries{folder, error};
    std::uint64_t count = 0;
    while (!error && entries != std::filesystem::directory_iterator{}) {
        ++count;
        entries.increment(error);
    }
    return error ? std::nullopt : std::optional{count};
}

}  // namespace

ProcessStats read_process_stats(const std::filesystem::path& proc) {
    ProcessStats stats;
    read_stat(stats, proc);
    stats.open_fds = count_entries(proc / "self/fd");
    const auto limits_text = read_file(proc / "self/limits");
    const auto limits = line_of(limits_text, "Max open files");
    stats.max_fds = limits.empty() ? std::nullopt : parse_number(limits.front());
    return stats;
}

std::optional<std::uint64_t> read_memory_limit(const std::filesystem::path& cgroup) {
    for (const auto* const file : {"memory.max", "memory/memory.limit_in_bytes"}) {
        const auto text = read_file(cgroup / file);
        const auto limit = parse_number(text.substr(0, text.find('\n')));
        // Version 1 says "no limit" with the greatest number of whole pages.
        if (limit && *limit < (std::uint64_t{1} << 62U)) {
            return limit;
        }
    }
    return std::nullopt;
}

void add_process(Exposition& exposition, const ProcessStats& stats) {
    const auto add = [&](Family family, const auto& value) {
        if (value) {
            exposition.add(family, {}, static_cast<double>(*value));
        }
    };
    add(Family::ProcessCpuSecondsTotal, stats.cpu_seconds);
    add(Family::ProcessStartTime, stats.start_time_seconds);
    add(Family::ProcessResidentMemory, stats.resident_bytes);
    add(Family::ProcessVirtualMemory, stats.virtual_bytes);
    add(Family::ProcessOpenFds, stats.open_fds);
    add(Family::ProcessMaxFds, stats.max_fds);
}

}  // namespace rproxy::metrics
