#include "control/last_known_good.h"

#include "control/sha256.h"
#include "support/temp_dir.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <string>

namespace rproxy::control {
namespace {

using namespace std::chrono_literals;

const WallTime kAccepted = WallTime{} + 1'790'000'000'123ms;

TEST(LastKnownGood, HasNothingAtFirst) {
    const test::TempDir directory;
    const auto loaded = LastKnownGood(directory.path()).load();
    ASSERT_TRUE(loaded);
    EXPECT_FALSE(*loaded);
}

TEST(LastKnownGood, GivesBackWhatWasSavedLast) {
    const test::TempDir directory;
    LastKnownGood kept(directory.path());
    ASSERT_TRUE(kept.save("first", kAccepted));
    const std::string text("method: random\n\0\n\nsha256 x\n", 27);
    ASSERT_TRUE(kept.save(text, kAccepted + 5s));

    const auto loaded = LastKnownGood(directory.path()).load();
    ASSERT_TRUE(loaded);
    ASSERT_TRUE(*loaded);
    EXPECT_EQ((*loaded)->text, text);
    EXPECT_EQ((*loaded)->sha256, sha256_hex(text));
    EXPECT_EQ((*loaded)->accepted, kAccepted + 5s);
}

TEST(LastKnownGood, LeavesNothingElseBehind) {
    const test::TempDir directory;
    LastKnownGood kept(directory.path());
    ASSERT_TRUE(kept.save("text", kAccepted));
    ASSERT_TRUE(kept.save("", kAccepted));
    const auto files = std::filesystem::directory_iterator(directory.path());
    EXPECT_EQ(std::distance(begin(files), end(files)), 1);
}

TEST(LastKnownGood, TrustsNoByteThatChanged) {
    const test::TempDir directory;
    LastKnownGood kept(directory.path());
    ASSERT_TRUE(kept.save("method: random\n", kAccepted));
    const auto good = test::read_file(kept.path());
    // The time is not covered by the hash: it is shown, never acted on.
    const auto time = good.find("accepted_unix_ms ") + std::string("accepted_unix_ms ").size();
    for (std::size_t at = 0; at < good.size(); ++at) {
        auto bad = good;
        bad[at] = static_cast<char>(bad[at] ^ 1);
        test::write_file(kept.path(), bad);
        const bool in_time = at >= time && at < time + std::string("1790000000123").size();
        EXPECT_EQ(kept.load().has_value(), in_time) << at << ": " << bad;
    }
}

TEST(LastKnownGood, ReportsAFileThatWasCutOrExtended) {
    const test::TempDir directory;
    LastKnownGood kept(directory.path());
    ASSERT_TRUE(kept.save("method: random\n", kAccepted));
    const auto good = test::read_file(kept.path());
    for (std::size_t size = 0; size < good.size(); ++size) {
        test::write_file(kept.path(), good.substr(0, size));
        const auto loaded = kept.load();
        ASSERT_FALSE(loaded) << size;
        EXPECT_TRUE(loaded.error().contains("cannot be trusted")) << loaded.error();
    }
    test::write_file(kept.path(), good + "x");
    EXPECT_FALSE(kept.load());
}

TEST(LastKnownGood, KeepsTheOldOneWhenSavingFails) {
    const test::TempDir directory;
    LastKnownGood kept(directory.path());
    ASSERT_TRUE(kept.save("old", kAccepted));
    // A directory in the way of the temporary file fails the save, for root as well.
    const auto temporary = kept.path() + "." + std::to_string(::getpid()) + ".tmp";
    std::filesystem::create_directory(temporary);
    const auto saved = kept.save("new", kAccepted);
    ASSERT_FALSE(saved);
    EXPECT_TRUE(saved.error().contains(temporary)) << saved.error();
    EXPECT_EQ((*kept.load())->text, "old");
}

TEST(LastKnownGood, SaysThatTheDirectoryIsMissing) {
    const test::TempDir directory;
    LastKnownGood kept(directory / "none");
    EXPECT_FALSE(kept.save("x", kAccepted));
    const auto loaded = kept.load();
    ASSERT_TRUE(loaded);
    EXPECT_FALSE(*loaded);
}

TEST(LastKnownGood, RemembersWhatWasRolledBackUntilItIsForgotten) {
    const test::TempDir directory;
    LastKnownGood kept(directory.path());
    ASSERT_TRUE(kept.load_rolled_back());
    EXPECT_FALSE(*kept.load_rolled_back());
    ASSERT_TRUE(kept.save_rolled_back({"abc", "5 of 9\nfailed"}));
    const auto loaded = kept.load_rolled_back();
    ASSERT_TRUE(loaded && *loaded);
    EXPECT_EQ((*loaded)->sha256, "abc");
    EXPECT_EQ((*loaded)->evidence, "5 of 9 failed");
    kept.forget_rolled_back();
    ASSERT_TRUE(kept.load_rolled_back());
    EXPECT_FALSE(*kept.load_rolled_back());
}

TEST(LastKnownGood, TrustsNoByteThatChangedOfWhatWasRolledBack) {
    const test::TempDir directory;
    LastKnownGood kept(directory.path());
    ASSERT_TRUE(kept.save_rolled_back({"abc", "it is slower"}));
    const auto good = test::read_file(kept.rolled_back_path());
    for (std::size_t at = 0; at < good.size(); ++at) {
        auto bad = good;
        bad[at] = static_cast<char>(bad[at] ^ 1);
        test::write_file(kept.rolled_back_path(), bad);
        EXPECT_FALSE(kept.load_rolled_back()) << at << ": " << bad;
        test::write_file(kept.rolled_back_path(), good.substr(0, at));
        EXPECT_FALSE(kept.load_rolled_back()) << at;
    }
}

}  // namespace
}  // namespace rproxy::control
