#include "metrics/process.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace rproxy::metrics {
namespace {

/// A folder of files, gone at the end of the test.
class Folder {
public:
    Folder() {
        std::string name = testing::TempDir() + "rproxy-process-XXXXXX";
        path_ = ::mkdtemp(name.data());
    }
    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    Folder(Folder&&) = delete;
    Folder& operator=(Folder&&) = delete;

    void write(const std::string& name, const std::string& text) {
        std::filesystem::create_directories((path_ / name).parent_path());
        std::ofstream{path_ / name} << text;
    }
    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

TEST(ProcessStats, AreReadPastAProgramNameWithSpacesAndParentheses) {
    Folder proc;
    proc.write("stat", "cpu  1 2 3\nbtime 1790000000\nprocesses 5\n");
    proc.write("self/stat",
               "42 (a) (b c) S 1 42 42 0 -1 4194560 100 0 0 0 250 150 0 0 20 0 4 0 1000 "
               "8192000 300 18446744073709551615\n");
    proc.write("self/limits",
               "Limit                     Soft Limit           Hard Limit           Units\n"
               "Max open files            1024                 524288               files\n");
    proc.write("self/fd/0", "");
    proc.write("self/fd/1", "");

    const auto stats = read_process_stats(proc.path());

    const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
    EXPECT_DOUBLE_EQ(stats.cpu_seconds.value_or(0), 400 / ticks);
    EXPECT_DOUBLE_EQ(stats.start_time_seconds.value_or(0), 1790000000 + 1000 / ticks);
    EXPECT_EQ(stats.virtual_bytes, 8192000U);
    EXPECT_EQ(stats.resident_bytes, 300U * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)));
    EXPECT_EQ(stats.open_fds, 2U);
    EXPECT_EQ(stats.max_fds, 1024U);
}

TEST(ProcessStats, AreAbsentWhereTheKernelDoesNotTell) {
    const Folder proc;
    const auto stats = read_process_stats(proc.path());
    EXPECT_FALSE(stats.cpu_seconds || stats.start_time_seconds || stats.resident_bytes ||
                 stats.virtual_bytes || stats.open_fds || stats.max_fds);
    SharedCounter dropped;
    Exposition exposition{1000, dropped};
    add_process(exposition, stats);
    EXPECT_EQ(exposition.series(), 0U);
}

TEST(ProcessStats, DescribeThisProcess) {
    const auto stats = read_process_stats();
    EXPECT_GT(stats.resident_bytes.value_or(0), 1U << 20U);
    EXPECT_GT(stats.virtual_bytes.value_or(0), stats.resident_bytes.value_or(0));
    EXPECT_GE(stats.open_fds.value_or(0), 3U);
    EXPECT_GT(stats.start_time_seconds.value_or(0), 1.7e9);
    SharedCounter dropped;
    Exposition exposition{1000, dropped};
    add_process(exposition, stats);
    EXPECT_GE(exposition.series(), 5U);
}

TEST(MemoryLimit, IsReadFromBothVersionsOfCgroups) {
    Folder unlimited;
    unlimited.write("memory.max", "max\n");
    EXPECT_EQ(read_memory_limit(unlimited.path()), std::nullopt);
    Folder version2;
    version2.write("memory.max", "134217728\n");
    EXPECT_EQ(read_memory_limit(version2.path()), 134217728U);
    Folder version1;
    version1.write("memory/memory.limit_in_bytes", "67108864\n");
    EXPECT_EQ(read_memory_limit(version1.path()), 67108864U);
    Folder unlimited1;
    unlimited1.write("memory/memory.limit_in_bytes", "9223372036854771712\n");
    EXPECT_EQ(read_memory_limit(unlimited1.path()), std::nullopt);
}

}  // namespace
}  // namespace rproxy::metrics
