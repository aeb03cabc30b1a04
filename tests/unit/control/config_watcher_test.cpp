#include "control/config_watcher.h"

#include "control/sha256.h"
#include "support/config_map_dir.h"
#include "support/manual_clock.h"
#include "support/temp_dir.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>
#include <string>

namespace rproxy::control {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using test::ConfigMapDir;
using test::replace_file;
using test::TempDir;
using test::write_file;

/// A watcher under a clock that stands still; inotify itself is the kernel's.
class Watched {
public:
    explicit Watched(const std::string& path, bool use_inotify = true)
        : watcher({.path = path, .max_size = kib(64), .use_inotify = use_inotify}, clock.now()) {}

    ConfigWatcher::Result poll() { return watcher.poll(clock.now()); }
    /// The text that the watcher reports once events have settled; `-` if nothing changed, `!` and
    /// the kind for an error. Does not reach the slow poll.
    std::string settled() {
        EXPECT_FALSE(poll()) << "reported before it settled";
        clock.advance(50ms);
        return describe(poll());
    }
    static std::string describe(const ConfigWatcher::Result& result) {
        if (!result) {
            return "-";
        }
        if (*result) {
            EXPECT_EQ((*result)->sha256, sha256_hex((*result)->text));
            return (*result)->text;
        }
        return "!" + std::to_string(static_cast<int>(result->error().kind));
    }
    bool readable() const {
        pollfd ready{.fd = watcher.fd(), .events = POLLIN, .revents = 0};
        return ::poll(&ready, 1, 0) == 1;
    }

    test::ManualClock clock;
    ConfigWatcher watcher;
};

const std::string kMissing = "!0";
const std::string kUnreadable = "!1";
const std::string kTooLarge = "!2";

TEST(ConfigWatcher, ReadsAtOnceAtFirst) {
    const TempDir directory;
    Watched watched(directory.write("rproxy.yaml", "one"));
    EXPECT_LE(watched.watcher.next_wakeup(), watched.clock.now());
    EXPECT_EQ(Watched::describe(watched.poll()), "one");
    EXPECT_EQ(Watched::describe(watched.poll()), "-");
    EXPECT_EQ(watched.watcher.next_wakeup(), watched.clock.now() + 10s);
    EXPECT_FALSE(watched.readable());
}

TEST(ConfigWatcher, SeesKubeletsSwaps) {
    const TempDir directory;
    ConfigMapDir map(directory / "config", {{"rproxy.yaml", "one"}, {"other", "x"}});
    Watched watched(map.file("rproxy.yaml"));
    EXPECT_EQ(Watched::describe(watched.poll()), "one");
    for (int i = 0; i < 20; ++i) {
        map.swap({{"rproxy.yaml", "text " + std::to_string(i)}, {"other", "x"}});
        EXPECT_TRUE(watched.readable());
        EXPECT_EQ(watched.settled(), "text " + std::to_string(i));
    }
}

TEST(ConfigWatcher, CallsAnIdenticalSwapNoChange) {
    const TempDir directory;
    ConfigMapDir map(directory / "config", {{"rproxy.yaml", "one"}});
    Watched watched(map.file("rproxy.yaml"));
    watched.poll();
    map.swap({{"rproxy.yaml", "one"}});
    EXPECT_EQ(watched.settled(), "-");
}

TEST(ConfigWatcher, TakesTheLastOfRapidSwaps) {
    const TempDir directory;
    ConfigMapDir map(directory / "config", {{"rproxy.yaml", "one"}});
    Watched watched(map.file("rproxy.yaml"));
    watched.poll();
    for (int i = 0; i < 5; ++i) {
        map.swap({{"rproxy.yaml", "text " + std::to_string(i)}});
        EXPECT_EQ(Watched::describe(watched.poll()), "-");
        watched.clock.advance(10ms);
    }
    EXPECT_EQ(watched.settled(), "text 4");
    EXPECT_EQ(watched.settled(), "-");
}

TEST(ConfigWatcher, DoesNotWaitForeverForQuiet) {
    const TempDir directory;
    const auto path = directory.write("rproxy.yaml", "one");
    Watched watched(path);
    watched.poll();
    const auto start = watched.clock.now();
    std::string seen = "-";
    for (int i = 0; seen == "-" && i < 100; ++i) {
        write_file(path, "text " + std::to_string(i));
        seen = Watched::describe(watched.poll());
        watched.clock.advance(20ms);
    }
    EXPECT_NE(seen, "-");
    EXPECT_LE(watched.clock.now() - start, 520ms);
}

TEST(ConfigWatcher, SeesEditsInPlaceAndRenames) {
    const TempDir directory;
    const auto path = directory.write("rproxy.yaml", "one");
    Watched watched(path);
    watched.poll();
    write_file(path, "two");
    EXPECT_EQ(watched.settled(), "two");
    replace_file(path, "three");
    EXPECT_EQ(watched.settled(), "three");
    write_file(path, "four");  // the new inode is watched as well
    EXPECT_EQ(watched.settled(), "four");
}

TEST(ConfigWatcher, FollowsALinkThatIsReplaced) {
    const TempDir directory;
    fs::create_directory(directory / "a");
    fs::create_directory(directory / "b");
    write_file(directory / "a/file", "in a");
    write_file(directory / "b/file", "in b");
    fs::create_symlink("a/file", directory / "rproxy.yaml");
    Watched watched(directory / "rproxy.yaml");
    EXPECT_EQ(Watched::describe(watched.poll()), "in a");

    write_file(directory / "a/file", "in a, edited");
    EXPECT_EQ(watched.settled(), "in a, edited");
    fs::create_symlink("b/file", directory / "new");
    fs::rename(directory / "new", directory / "rproxy.yaml");
    EXPECT_EQ(watched.settled(), "in b");
    replace_file(directory / "b/file", "in b, edited");
    EXPECT_EQ(watched.settled(), "in b, edited");
}

TEST(ConfigWatcher, FollowsALinkedDirectory) {
    const TempDir directory;
    fs::create_directory(directory / "v1");
    fs::create_directory(directory / "v2");
    write_file(directory / "v1/rproxy.yaml", "one");
    write_file(directory / "v2/rproxy.yaml", "two");
    fs::create_directory_symlink(directory / "v1", directory / "current");
    Watched watched(directory / "current/rproxy.yaml");
    EXPECT_EQ(Watched::describe(watched.poll()), "one");
    fs::create_directory_symlink(directory / "v2", directory / "next");
    fs::rename(directory / "next", directory / "current");
    EXPECT_EQ(watched.settled(), "two");
}

TEST(ConfigWatcher, ReportsAMissingFileOnceAndItsReturn) {
    const TempDir directory;
    const auto path = directory.write("rproxy.yaml", "one");
    Watched watched(path);
    watched.poll();
    fs::remove(path);
    EXPECT_EQ(watched.settled(), kMissing);
    watched.clock.advance(10s);
    EXPECT_EQ(Watched::describe(watched.poll()), "-");
    write_file(path, "one");
    EXPECT_EQ(watched.settled(), "one") << "so that its reader knows that the error is over";
}

TEST(ConfigWatcher, FindsAFileThatComesLater) {
    const TempDir directory;
    Watched watched(directory / "not/yet/here/rproxy.yaml");
    EXPECT_EQ(Watched::describe(watched.poll()), kMissing);
    fs::create_directories(directory / "not/yet/here");
    EXPECT_EQ(watched.settled(), "-");
    write_file(directory / "not/yet/here/rproxy.yaml", "one");
    EXPECT_EQ(watched.settled(), "one");
}

TEST(ConfigWatcher, SurvivesItsDirectoryBeingMadeAgain) {
    const TempDir directory;
    fs::create_directory(directory / "config");
    const auto path = directory.write("config/rproxy.yaml", "one");
    Watched watched(path);
    watched.poll();
    fs::remove_all(directory / "config");
    EXPECT_EQ(watched.settled(), kMissing);
    fs::create_directory(directory / "config");
    write_file(path, "two");
    EXPECT_EQ(watched.settled(), "two");
    fs::rename(directory / "config", directory / "moved");
    EXPECT_EQ(watched.settled(), kMissing);
    fs::create_directory(directory / "config");
    write_file(path, "three");
    EXPECT_EQ(watched.settled(), "three");
}

TEST(ConfigWatcher, SaysWhyItCannotRead) {
    const TempDir directory;
    const auto path = directory.write("rproxy.yaml", "one");
    Watched watched(path);
    watched.poll();
    write_file(path, std::string(kib(64).bytes + 1, 'x'));
    EXPECT_EQ(watched.settled(), kTooLarge);
    fs::remove(path);
    ASSERT_EQ(::mkfifo(path.c_str(), S_IRWXU), 0);
    EXPECT_EQ(watched.settled(), kUnreadable) << "and a FIFO must not block us";
    fs::remove(path);
    write_file(path, std::string(kib(64).bytes, 'x'));
    EXPECT_EQ(watched.settled(), std::string(kib(64).bytes, 'x'));
}

/// Runs `body` in a child process, for what would change this one; its exit status.
template <typename Body>
int in_child(Body body) {
    const auto child = ::fork();
    if (child == 0) {
        body();
        ::_exit(testing::Test::HasFailure() ? 1 : 0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(ConfigWatcher, SurvivesPermissionsLostAndRegained) {
    const TempDir directory;
    fs::permissions(directory.path(), fs::perms::all);
    const auto path = directory.write("rproxy.yaml", "one");
    EXPECT_EQ(in_child([&] {
                  if (::geteuid() == 0) {
                      constexpr uid_t kNobody = 65534;
                      ASSERT_EQ(::chown(path.c_str(), kNobody, kNobody), 0);
                      ASSERT_EQ(::setuid(kNobody), 0);  // root may read anything
                  }
                  Watched watched(path);
                  EXPECT_EQ(Watched::describe(watched.poll()), "one");
                  fs::permissions(path, fs::perms::none);
                  EXPECT_EQ(watched.settled(), kUnreadable);
                  fs::permissions(path, fs::perms::owner_all);
                  EXPECT_EQ(watched.settled(), "one");
              }),
              0);
}

TEST(ConfigWatcher, FindsByPollingWhatInotifyDoesNotTell) {
    const TempDir directory;
    const auto path = directory.write("rproxy.yaml", "one");
    Watched watched(path, false);
    EXPECT_EQ(watched.watcher.fd(), -1);
    EXPECT_TRUE(watched.watcher.polling());
    watched.poll();
    write_file(path, "two");
    watched.clock.advance(999ms);
    EXPECT_EQ(Watched::describe(watched.poll()), "-");
    watched.clock.advance(1ms);
    EXPECT_EQ(Watched::describe(watched.poll()), "two");
}

// UBSan's own check of virtual tables needs descriptors and takes their lack for a finding.
#ifndef __SANITIZE_ADDRESS__
TEST(ConfigWatcher, PollsWhenInotifyCannotBeHad) {
    const TempDir directory;
    const auto path = directory.write("rproxy.yaml", "one");
    EXPECT_EQ(in_child([&] {
                  rlimit limit{};
                  ::getrlimit(RLIMIT_NOFILE, &limit);
                  const int next = ::dup(0);
                  ::close(next);
                  limit.rlim_cur = static_cast<rlim_t>(next);
                  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
                  Watched watched(path);
                  limit.rlim_cur = limit.rlim_max;
                  ::setrlimit(RLIMIT_NOFILE, &limit);
                  EXPECT_EQ(watched.watcher.fd(), -1);
                  EXPECT_TRUE(watched.watcher.polling());
                  EXPECT_EQ(Watched::describe(watched.poll()), "one");
                  EXPECT_EQ(watched.watcher.next_wakeup(), watched.clock.now() + 1s);
              }),
              0);
}
#endif

TEST(ConfigWatcher, ReadsWhenForced) {
    const TempDir directory;
    const auto path = directory.write("rproxy.yaml", "one");
    Watched watched(path);
    EXPECT_EQ(Watched::describe(watched.watcher.force(watched.clock.now())), "one");
    write_file(path, "two");
    EXPECT_EQ(Watched::describe(watched.watcher.force(watched.clock.now())), "two");
    EXPECT_EQ(Watched::describe(watched.watcher.force(watched.clock.now())), "-");
}

TEST(ConfigWatcher, TellsASubPathMountFromAWholeVolume) {
    const TempDir directory;
    ConfigMapDir map(directory / "config", {{"rproxy.yaml", "one"}});
    const auto path = directory.write("rproxy.yaml", "");
    EXPECT_FALSE(looks_like_sub_path(path));
    EXPECT_FALSE(looks_like_sub_path(map.file("rproxy.yaml")));
    constexpr int kNotAllowed = 77;
    const int status = in_child([&] {
        if (::unshare(CLONE_NEWNS) != 0 ||
            ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
            ::mount(map.file("rproxy.yaml").c_str(), path.c_str(), nullptr, MS_BIND, nullptr) !=
                0) {
            ::_exit(kNotAllowed);
        }
        Watched watched(path);
        EXPECT_EQ(Watched::describe(watched.poll()), "one");
        EXPECT_TRUE(watched.watcher.is_sub_path());
    });
    if (status == kNotAllowed) {
        GTEST_SKIP() << "may not mount here";
    }
    EXPECT_EQ(status, 0);
}

TEST(DirectoriesOnTheWay, AreThoseOfTheFileAndOfEveryLink) {
    const TempDir directory;
    const auto root = fs::canonical(directory.path()).string();
    const ConfigMapDir map(root + "/config", {{"rproxy.yaml", "one"}});
    fs::create_symlink("config/rproxy.yaml", root + "/link");
    auto found = directories_on_the_way(root + "/link");
    EXPECT_EQ(found.size(), 3U);
    EXPECT_TRUE(found.contains(root));
    EXPECT_TRUE(found.contains(root + "/config"));
    EXPECT_TRUE(std::ranges::any_of(
        found, [&](const auto& name) { return name.starts_with(root + "/config/..2026"); }));
}

TEST(DirectoriesOnTheWay, EndAtALinkThatLeadsToItself) {
    const TempDir directory;
    fs::create_symlink("loop", directory / "loop");
    EXPECT_TRUE(directories_on_the_way(directory / "loop")
                    .contains(fs::canonical(directory.path()).string()));
    Watched watched(directory / "loop");
    EXPECT_EQ(Watched::describe(watched.poll()), kMissing);
}

}  // namespace
}  // namespace rproxy::control
