#include "log/log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <array>
#include <chrono>
#include <limits>
#include <string>
#include <vector>

namespace rproxy::log {
namespace {

const WallTime kTime = std::chrono::sys_days{std::chrono::year{2026} / 11 / 23};

TEST(LogLine, IsOneJsonObjectWithTheFieldsInOrder) {
    const std::vector<Field> fields{{"backend", std::string_view("10.0.0.1:8080")},
                                    {"failures", std::int64_t{-3}},
                                    {"bytes", std::numeric_limits<std::uint64_t>::max()},
                                    {"share", 0.25},
                                    {"last", true}};
    EXPECT_EQ(format_line(Format::Json, Level::Warn, kTime, "backend ejected", fields),
              R"({"time":"2026-11-23T00:00:00.000Z","level":"warn","msg":"backend ejected",)"
              R"("backend":"10.0.0.1:8080","failures":-3,"bytes":18446744073709551615,)"
              R"("share":0.25,"last":true})");
}

TEST(LogLine, IsKeyValueTextWithQuotesWhereNeeded) {
    const std::vector<Field> fields{{"backend", std::string_view("10.0.0.1:8080")},
                                    {"error", std::string_view("no such\nfile")},
                                    {"failures", std::int64_t{3}}};
    EXPECT_EQ(format_line(Format::Text, Level::Error, kTime, "backend ejected", fields),
              "2026-11-23T00:00:00.000Z ERROR backend ejected backend=10.0.0.1:8080 "
              "error=\"no such\\nfile\" failures=3");
}

TEST(LogLine, WritesNullForNumbersThatJsonLacks) {
    const std::vector<Field> fields{{"a", std::numeric_limits<double>::quiet_NaN()},
                                    {"b", std::numeric_limits<double>::infinity()}};
    const auto line = format_line(Format::Json, Level::Info, kTime, "m", fields);
    EXPECT_TRUE(nlohmann::json::parse(line)["a"].is_null());
    EXPECT_TRUE(nlohmann::json::parse(line)["b"].is_null());
}

TEST(LogNames, AreReadBack) {
    EXPECT_EQ(parse_level("debug"), Level::Debug);
    EXPECT_EQ(parse_level("error"), Level::Error);
    EXPECT_EQ(parse_level("ERROR"), std::nullopt);
    EXPECT_EQ(parse_format("text"), Format::Text);
    EXPECT_EQ(parse_format("xml"), std::nullopt);
}

class LogOutput : public testing::Test {
protected:
    void TearDown() override { configure(Level::Info, Format::Json); }
};

TEST_F(LogOutput, HasAnotherLevelUntilTheNextConfiguration) {
    configure(Level::Warn, Format::Json);
    override_level(Level::Debug);
    EXPECT_EQ(level(), Level::Debug);
    EXPECT_EQ(configured_level(), Level::Warn);
    EXPECT_TRUE(enabled(Level::Debug));
    override_level(std::nullopt);
    EXPECT_EQ(level(), Level::Warn);
    override_level(Level::Error);
    configure(Level::Info, Format::Json);
    EXPECT_EQ(level(), Level::Info);
}

TEST_F(LogOutput, GoesToStderrFromTheLevelOn) {
    testing::internal::CaptureStderr();
    configure(Level::Warn, Format::Json);
    info("not seen", "a", 1);
    const std::string owned = "text";
    warn("seen", "string", owned, "literal", "x", "unsigned", 7U, "flag", false);
    configure(Level::Debug, Format::Text);
    debug("seen too");
    const std::string out = testing::internal::GetCapturedStderr();

    const auto end = out.find('\n');
    const auto first = nlohmann::json::parse(out.substr(0, end));
    EXPECT_EQ(first["msg"], "seen");
    EXPECT_EQ(first["string"], "text");
    EXPECT_EQ(first["unsigned"], 7);
    EXPECT_EQ(first["flag"], false);
    EXPECT_TRUE(out.ends_with(" DEBUG seen too\n")) << out;
    EXPECT_EQ(std::count(out.begin(), out.end(), '\n'), 2);
}

TEST_F(LogOutput, TellsTheLevelThatWasSet) {
    configure(Level::Error, Format::Json);
    EXPECT_EQ(level(), Level::Error);
    EXPECT_FALSE(enabled(Level::Warn));
    EXPECT_TRUE(enabled(Level::Error));
}

/// Puts a pipe in the place of stderr.
class StderrPipe {
public:
    StderrPipe() : saved_(::dup(STDERR_FILENO)) {
        EXPECT_EQ(::pipe2(ends_.data(), O_CLOEXEC), 0);
        ::dup2(ends_[1], STDERR_FILENO);
        ::close(ends_[1]);
    }
    ~StderrPipe() {
        ::dup2(saved_, STDERR_FILENO);
        ::close(saved_);
        ::close(ends_[0]);
    }
    StderrPipe(const StderrPipe&) = delete;
    StderrPipe& operator=(const StderrPipe&) = delete;
    /// What is in the pipe now.
    std::string read_all() const {
        ::fcntl(ends_[0], F_SETFL, O_NONBLOCK);
        std::string all;
        std::array<char, 65536> part{};
        for (ssize_t n = 0; (n = ::read(ends_[0], part.data(), part.size())) > 0;) {
            all.append(part.data(), static_cast<std::size_t>(n));
        }
        return all;
    }

private:
    int saved_;
    std::array<int, 2> ends_{};
};

TEST_F(LogOutput, DropsAndCountsWhenNobodyReads) {
    const StderrPipe pipe;
    const std::string filler(1000, 'x');
    constexpr int kLines = 500;  // far more than a pipe holds
    for (int i = 0; i < kLines; ++i) {
        info("line", "filler", filler);
    }
    const std::string before = pipe.read_all();
    info("after");
    const std::string after = pipe.read_all();

    const auto arrived = std::count(before.begin(), before.end(), '\n');
    EXPECT_GT(arrived, 0);
    EXPECT_TRUE(before.ends_with("\n"));
    const auto note = nlohmann::json::parse(after.substr(0, after.find('\n')));
    EXPECT_EQ(note["lines"], kLines - arrived);
    EXPECT_NE(after.find("\"msg\":\"after\""), std::string::npos);
}

}  // namespace
}  // namespace rproxy::log
