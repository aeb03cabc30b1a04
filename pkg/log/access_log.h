#pragma once

#include "base/byte_size.h"
#include "base/clock.h"
#include "log/log.h"
#include "log/timestamp.h"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <thread>
#include <vector>

namespace rproxy::log {

/// One finished exchange. The views need to live only until append() returns. What did not apply is
/// empty or zero; every line has every field, so that its readers need no special cases.
struct AccessRecord {
    WallTime time;  ///< When the exchange ended.
    std::string_view request_id;
    std::string_view client;  ///< Address, without port.
    std::string_view method;
    std::string_view host;
    std::string_view path;      ///< Without the query: it may hold secrets.
    std::string_view protocol;  ///< `HTTP/1.1`
    std::uint16_t status{0};    ///< 0: the client was gone before there was one.
    std::uint64_t bytes_in{0};  ///< From the client, heads included.
    std::uint64_t bytes_out{0};
    std::chrono::nanoseconds duration{0};          ///< First byte of the request to the end.
    std::chrono::nanoseconds backend_duration{0};  ///< Of all attempts together.
    std::string_view pool;
    std::string_view backend;  ///< Of the last attempt.
    std::uint32_t attempts{0};
    std::string_view reason;  ///< A code of product.md §4, if rproxy itself answered or cut it off.
    std::string_view trace_id;
};

/// The lines that one worker has formatted and the writer has not yet taken: a ring of bytes with
/// one producer (its worker) and one consumer (the writer thread). Made and owned by AccessLog.
class AccessLogBuffer {
public:
    /// Longer values are cut (the path at kLongestPath), which bounds a line.
    static constexpr std::size_t kLongestValue = 256;
    static constexpr std::size_t kLongestPath = 2048;
    static constexpr std::size_t kLongestLine = 40UL * 1024;

    /// Formats the record into the ring: no allocation, no lock, no system call except one wake-up
    /// when the ring becomes half full. With no room the line is dropped and counted. Worker only.
    void append(const AccessRecord& record);

    AccessLogBuffer(const AccessLogBuffer&) = delete;
    AccessLogBuffer& operator=(const AccessLogBuffer&) = delete;
    AccessLogBuffer(AccessLogBuffer&&) = delete;
    AccessLogBuffer& operator=(AccessLogBuffer&&) = delete;
    ~AccessLogBuffer() = default;

private:
    friend class AccessLog;

    AccessLogBuffer(std::size_t capacity, const std::atomic<Format>& format, int wake_fd);
    char* format_json(char* out, const AccessRecord& record);
    char* format_text(char* out, const AccessRecord& record);
    /// Appends whole lines to `out` until it holds `enough` bytes, at least one line if there is
    /// one. Writer only.
    void take(std::vector<char>& out, std::size_t enough);

    // Two groups that two threads write, each on cache lines of its own.
    alignas(64) std::atomic<std::uint64_t> written_{0};  ///< Bytes ever put in; by the producer.
    const std::size_t capacity_;                         ///< A power of two.
    const std::atomic<Format>& format_;
    std::unique_ptr<char[]> ring_;
    std::unique_ptr<char[]> line_;  ///< Where a line is formatted before its size is known.
    std::uint64_t known_read_{0};   ///< The producer's copy of read_: spares it the shared line.
    std::atomic<std::uint64_t> dropped_{0};
    Timestamp timestamp_;
    const int wake_fd_;
    alignas(64) std::atomic<std::uint64_t> read_{0};  ///< Bytes ever taken out; by the writer.
};

/// The access log: workers format lines into their own buffers, one thread writes them to a file
/// descriptor. Whoever reads that descriptor may stall: memory stays bounded, lines are dropped and
/// counted, and no worker waits. Lines are whole, and on a pipe each write of up to PIPE_BUF bytes
/// is atomic, so other writers of the same pipe do not cut into them.
///
/// Constructed and destroyed on the control thread; buffers outlive the workers' use of them.
class AccessLog {
public:
    struct Options {
        int fd{1};  ///< Not owned and not made non-blocking: it may be shared.
        std::size_t workers{1};
        Format format{Format::Json};
        ByteSize buffer_size{mib(1)};  ///< For each worker; rounded up to a power of two.
        std::chrono::milliseconds flush_interval{200};
        std::chrono::milliseconds final_flush{1000};  ///< The most that destruction waits.
    };

    explicit AccessLog(const Options& options);
    /// Writes what is left, waiting at most `final_flush` for a stalled reader.
    ~AccessLog();
    AccessLog(const AccessLog&) = delete;
    AccessLog& operator=(const AccessLog&) = delete;
    AccessLog(AccessLog&&) = delete;
    AccessLog& operator=(AccessLog&&) = delete;

    AccessLogBuffer& buffer(std::size_t worker) { return *buffers_[worker]; }
    /// For lines from now on. Any thread.
    void set_format(Format format) { format_.store(format, std::memory_order_relaxed); }
    /// Lines lost since the start: to full buffers and to failed writes. Any thread.
    std::uint64_t dropped() const;

private:
    void run();
    bool wait();
    void drain_buffers();
    bool write_pending();

    const Options options_;
    std::atomic<Format> format_;
    const int wake_fd_;
    const std::size_t piece_;  ///< Bytes of one write.
    std::vector<std::unique_ptr<AccessLogBuffer>> buffers_;
    std::atomic<bool> stopping_{false};
    std::atomic<std::uint64_t> lost_{0};  ///< Lines whose write failed.
    // The writer thread's own:
    std::vector<char> pending_;  ///< Taken from a buffer, not yet written.
    std::size_t pending_at_{0};
    std::size_t turn_{0};
    MonotonicTime stop_by_{MonotonicTime::max()};
    std::thread writer_;
};

}  // namespace rproxy::log
