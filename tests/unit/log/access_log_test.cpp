#include "log/access_log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <map>
#include <string>
#include <thread>
#include <vector>

namespace rproxy::log {
namespace {

using namespace std::chrono_literals;

class Pipe {
public:
    Pipe() { EXPECT_EQ(::pipe2(ends_.data(), O_CLOEXEC), 0); }
    ~Pipe() {
        close_read();
        close_write();
    }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;
    int write_end() const { return ends_[1]; }
    void close_read() { close(ends_[0]); }
    void close_write() { close(ends_[1]); }
    /// Until the other end is closed.
    std::string read_to_end() const {
        std::string all;
        while (read_some(all)) {
        }
        return all;
    }
    /// Until one whole line is there.
    std::string read_line() const {
        std::string all;
        while (!all.contains('\n') && read_some(all)) {
        }
        return all;
    }

private:
    bool read_some(std::string& all) const {
        std::array<char, 65536> part{};
        const auto n = ::read(ends_[0], part.data(), part.size());
        all.append(part.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
        return n > 0;
    }
    static void close(int& fd) {
        if (fd >= 0) {
            ::close(fd);
        }
        fd = -1;
    }
    std::array<int, 2> ends_{-1, -1};
};

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::size_t at = 0;
    for (std::size_t end = 0; (end = text.find('\n', at)) != std::string::npos; at = end + 1) {
        lines.push_back(text.substr(at, end - at));
    }
    EXPECT_EQ(at, text.size()) << "a cut line at the end";
    return lines;
}

AccessRecord sample() {
    AccessRecord record;
    record.time = std::chrono::sys_days{std::chrono::year{2026} / 11 / 23} + 5ms;
    record.request_id = "req-1";
    record.client = "192.0.2.7";
    record.method = "GET";
    record.host = "example.com";
    record.path = "/a/b";
    record.protocol = "HTTP/1.1";
    record.status = 502;
    record.bytes_in = 120;
    record.bytes_out = 4096;
    record.duration = 1'234'567ns;
    record.backend_duration = 12s + 42us;
    record.pool = "web";
    record.backend = "10.0.0.1:8080";
    record.attempts = 2;
    record.reason = "backend_reset";
    record.trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
    return record;
}

/// What the log writes for these records.
std::string written(Format format, const std::vector<AccessRecord>& records) {
    Pipe pipe;
    {
        AccessLog log({.fd = pipe.write_end(), .format = format});
        for (const auto& record : records) {
            log.buffer(0).append(record);
        }
    }
    pipe.close_write();
    return pipe.read_to_end();
}

TEST(AccessLog, WritesOneJsonObjectALine) {
    EXPECT_EQ(written(Format::Json, {sample()}),
              R"({"time":"2026-11-23T00:00:00.005Z","request_id":"req-1","client":"192.0.2.7",)"
              R"("method":"GET","host":"example.com","path":"/a/b","protocol":"HTTP/1.1",)"
              R"("status":502,"bytes_in":120,"bytes_out":4096,"duration":0.001234,)"
              R"("backend_duration":12.000042,"pool":"web","backend":"10.0.0.1:8080","attempts":2,)"
              R"("reason":"backend_reset","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736"})"
              "\n");
}

TEST(AccessLog, WritesText) {
    auto record = sample();
    record.reason = "";
    record.path = "/a \"b\"\n";
    EXPECT_EQ(written(Format::Text, {record}),
              "2026-11-23T00:00:00.005Z 192.0.2.7 \"GET example.com/a \\\"b\\\"\\n HTTP/1.1\" 502 "
              "in=120 out=4096 duration=0.001234 backend_duration=12.000042 pool=web "
              "backend=10.0.0.1:8080 attempts=2 reason=- request_id=req-1 "
              "trace_id=4bf92f3577b34da6a3ce929d0e0e4736\n");
}

TEST(AccessLog, CannotBeBrokenByWhatAPeerSent) {
    auto record = sample();
    const std::string path = "/\"}\n{\"forged\":\"\xff\xc3" + std::string(20'000, '\x01');
    const std::string host(5'000, '"');
    record.path = path;
    record.host = host;
    const auto lines = lines_of(written(Format::Json, {record, AccessRecord{}}));
    ASSERT_EQ(lines.size(), 2U);
    const auto first = nlohmann::json::parse(lines[0]);
    EXPECT_FALSE(first.contains("forged"));
    EXPECT_EQ(first["host"].get<std::string>().size(), AccessLogBuffer::kLongestValue);
    EXPECT_TRUE(first["path"].get<std::string>().starts_with("/\"}\n{\"forged\":\""));
    EXPECT_EQ(nlohmann::json::parse(lines[1])["status"], 0);
}

TEST(AccessLog, AppearsWithoutFurtherRequests) {
    const Pipe pipe;
    AccessLog log({.fd = pipe.write_end(), .flush_interval = 5ms});
    log.buffer(0).append(sample());
    EXPECT_EQ(lines_of(pipe.read_line()).size(), 1U);  // hangs, and times out, if it is not flushed
}

TEST(AccessLog, ChangesFormatLive) {
    Pipe pipe;
    {
        AccessLog log({.fd = pipe.write_end()});
        log.buffer(0).append(sample());
        log.set_format(Format::Text);
        log.buffer(0).append(sample());
    }
    pipe.close_write();
    const auto lines = lines_of(pipe.read_to_end());
    ASSERT_EQ(lines.size(), 2U);
    EXPECT_TRUE(lines[0].starts_with("{"));
    EXPECT_TRUE(lines[1].starts_with("2026-"));
}

TEST(AccessLog, KeepsEveryLineOfSeveralWorkersInTheirOrder) {
    constexpr std::size_t kWorkers = 3;
    constexpr std::uint64_t kEach = 5'000;
    Pipe pipe;
    std::string text;
    std::uint64_t dropped = 0;
    {
        std::thread reader([&] { text = pipe.read_to_end(); });
        {
            AccessLog log({.fd = pipe.write_end(), .workers = kWorkers, .flush_interval = 1ms});
            std::vector<std::thread> workers;
            for (std::size_t i = 0; i < kWorkers; ++i) {
                workers.emplace_back([&log, i] {
                    auto record = sample();
                    record.attempts = static_cast<std::uint32_t>(i);
                    for (std::uint64_t n = 0; n < kEach; ++n) {
                        record.bytes_in = n;
                        log.buffer(i).append(record);
                    }
                });
            }
            for (auto& worker : workers) {
                worker.join();
            }
            dropped = log.dropped();
        }
        pipe.close_write();
        reader.join();
    }
    std::map<std::uint64_t, std::uint64_t> next;
    const auto lines = lines_of(text);
    for (const auto& line : lines) {
        const auto json = nlohmann::json::parse(line);
        auto& expected = next[json["attempts"]];
        EXPECT_GE(json["bytes_in"].get<std::uint64_t>(), expected);
        expected = json["bytes_in"].get<std::uint64_t>() + 1;
    }
    EXPECT_EQ(lines.size() + dropped, kWorkers * kEach);
    EXPECT_EQ(next.size(), kWorkers);
}

TEST(AccessLog, DropsAndCountsWhenTheReaderStalls) {
    Pipe pipe;
    constexpr std::uint64_t kLines = 10'000;
    std::uint64_t dropped = 0;
    {
        AccessLog log({.fd = pipe.write_end(),
                       .buffer_size = kib(64),
                       .flush_interval = 1ms,
                       .final_flush = 20ms});
        for (std::uint64_t i = 0; i < kLines; ++i) {
            log.buffer(0).append(sample());  // would hang here if it waited
        }
        dropped = log.dropped();
    }
    pipe.close_write();
    const auto lines = lines_of(pipe.read_to_end());
    EXPECT_GT(dropped, kLines / 2);
    EXPECT_GT(lines.size(), 0U);
    EXPECT_LE(lines.size() + dropped, kLines);
}

TEST(AccessLog, GoesOnWhenTheReaderComesBack) {
    Pipe pipe;
    std::string text;
    std::thread reader;
    {
        AccessLog log({.fd = pipe.write_end(), .buffer_size = kib(64), .flush_interval = 1ms});
        while (log.dropped() == 0) {
            log.buffer(0).append(sample());
        }
        reader = std::thread([&] { text = pipe.read_to_end(); });
        auto record = sample();
        record.reason = "later";
        auto before = log.dropped();
        for (log.buffer(0).append(record); log.dropped() != before; log.buffer(0).append(record)) {
            before = log.dropped();
            std::this_thread::yield();
        }
    }
    pipe.close_write();
    reader.join();
    const auto lines = lines_of(text);
    ASSERT_FALSE(lines.empty());
    EXPECT_EQ(nlohmann::json::parse(lines.back())["reason"], "later");
}

TEST(AccessLog, CountsLinesLostToAClosedReader) {
    Pipe pipe;
    pipe.close_read();
    AccessLog log({.fd = pipe.write_end(), .flush_interval = 1ms});
    log.buffer(0).append(sample());
    log.buffer(0).append(sample());
    while (log.dropped() < 2) {
        std::this_thread::yield();
    }
    EXPECT_EQ(log.dropped(), 2U);
}

}  // namespace
}  // namespace rproxy::log
