#include "control/config_writer.h"

#include "support/temp_dir.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

namespace rproxy::control {
namespace {

TEST(ReplaceConfigFile, KeepsModeAndLeavesNothingBeside) {
    const test::TempDir dir;
    const auto path = dir.write("rproxy.yaml", "old");
    ASSERT_EQ(::chmod(path.c_str(), 0640), 0);
    ASSERT_TRUE(replace_config_file(path, "new"));
    EXPECT_EQ(test::read_file(path), "new");
    struct stat now{};
    ASSERT_EQ(::stat(path.c_str(), &now), 0);
    EXPECT_EQ(now.st_mode & 07777U, 0640U);
    const auto entries = std::filesystem::directory_iterator(dir.path());
    EXPECT_EQ(std::distance(begin(entries), end(entries)), 1);
}

TEST(ReplaceConfigFile, KeepsTheOwner) {
    if (::geteuid() != 0) {
        GTEST_SKIP() << "only root can give files away";
    }
    const test::TempDir dir;
    const auto path = dir.write("rproxy.yaml", "old");
    ASSERT_EQ(::chown(path.c_str(), 1234, 4321), 0);
    ASSERT_TRUE(replace_config_file(path, "new"));
    struct stat now{};
    ASSERT_EQ(::stat(path.c_str(), &now), 0);
    EXPECT_EQ(now.st_uid, 1234U);
    EXPECT_EQ(now.st_gid, 4321U);
}

TEST(ReplaceConfigFile, ALinkStaysALink) {
    const test::TempDir dir;
    const auto real = dir.write("real.yaml", "old");
    const auto link = dir / "rproxy.yaml";
    std::filesystem::create_symlink("real.yaml", link);
    ASSERT_TRUE(replace_config_file(link, "new"));
    EXPECT_TRUE(std::filesystem::is_symlink(link));
    EXPECT_EQ(test::read_file(real), "new");
}

TEST(ReplaceConfigFile, MakesAFileThatIsMissing) {
    const test::TempDir dir;
    ASSERT_TRUE(replace_config_file(dir / "rproxy.yaml", "new"));
    EXPECT_EQ(test::read_file(dir / "rproxy.yaml"), "new");
}

TEST(ReplaceConfigFile, SaysWhyItCannot) {
    const auto written = replace_config_file("/proc/version", "new");
    ASSERT_FALSE(written);
    EXPECT_NE(written.error().find("/proc/version"), std::string::npos) << written.error();
}

}  // namespace
}  // namespace rproxy::control
