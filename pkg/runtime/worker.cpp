#include "runtime/worker.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <string>

namespace rproxy::runtime {

void Worker::start() {
    thread_ = std::thread([this] {
        const std::string name = "rproxy-w" + std::to_string(index_);
        ::pthread_setname_np(::pthread_self(), name.c_str());
        loop_.run();
    });
}

void Worker::stop() {
    if (thread_.joinable()) {
        loop_.stop();
        thread_.join();
    }
}

std::size_t cpus_of_quota(std::string_view cpu_max, std::size_t otherwise) {
    std::int64_t quota = 0;
    std::int64_t period = 0;
    const char* const last = cpu_max.data() + cpu_max.size();
    const auto first = std::from_chars(cpu_max.data(), last, quota);
    if (first.ec != std::errc{} || first.ptr == last) {
        return otherwise;  // "max": no quota
    }
    const auto second = std::from_chars(first.ptr + 1, last, period);
    if (second.ec != std::errc{} || quota <= 0 || period <= 0) {
        return otherwise;
    }
    const auto cpus = static_cast<std::size_t>((quota + period - 1) / period);
    return std::clamp<std::size_t>(cpus, 1, otherwise);
}

namespace {

std::string first_line(const char* path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

}  // namespace

std::size_t available_cpus() {
    std::size_t allowed = std::max(1U, std::thread::hardware_concurrency());
    cpu_set_t mask;
    CPU_ZERO(&mask);
    if (::sched_getaffinity(0, sizeof mask, &mask) == 0) {
        allowed = static_cast<std::size_t>(std::max(1, CPU_COUNT(&mask)));
    }
    // A container sees its own cgroup as the root of the mount.
    if (const auto v2 = first_line("/sys/fs/cgroup/cpu.max"); !v2.empty()) {
        return cpus_of_quota(v2, allowed);
    }
    const auto quota = first_line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
    const auto period = first_line("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
    return cpus_of_quota(quota + " " + period, allowed);
}

}  // namespace rproxy::runtime
