#include "log/access_log.h"

#include "log/escape.h"
#include "log/rate_limiter.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <charconv>
#include <climits>
#include <csignal>
#include <cstring>
#include <span>

namespace rproxy::log {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t kFixedPartOfLine = 1024;  ///< Field names, numbers, time.
constexpr std::size_t kShortFields = 10;
static_assert(kFixedPartOfLine +
                  (kEscapeFactor * (AccessLogBuffer::kLongestPath +
                                    (kShortFields * AccessLogBuffer::kLongestValue))) <
              AccessLogBuffer::kLongestLine);
constexpr std::size_t kSmallestRing = 64UL * 1024;
static_assert(AccessLogBuffer::kLongestLine < kSmallestRing);

char* put(char* out, std::string_view text) {
    std::memcpy(out, text.data(), text.size());
    return out + text.size();
}

char* put_number(char* out, std::uint64_t number) {
    constexpr std::size_t kMostDigits = 20;
    return std::to_chars(out, out + kMostDigits, number).ptr;
}

/// Seconds with microseconds: `0.001234`.
char* put_seconds(char* out, std::chrono::nanoseconds duration) {
    constexpr std::uint64_t kPerSecond = 1'000'000;
    const auto microseconds =
        duration.count() <= 0 ? 0 : static_cast<std::uint64_t>(duration.count()) / 1000;
    out = put_number(out, microseconds / kPerSecond);
    *out++ = '.';
    auto rest = microseconds % kPerSecond;
    for (int i = 5; i >= 0; --i, rest /= 10) {
        out[i] = static_cast<char>('0' + (rest % 10));
    }
    return out + 6;
}

std::string_view cut(std::string_view text, std::size_t longest = AccessLogBuffer::kLongestValue) {
    return text.substr(0, longest);
}

/// `"` is already written; escapes the value and closes the quote.
char* put_string(char* out, std::string_view key, std::string_view value) {
    out = put(out, key);
    out = escape_json(out, cut(value));
    return put(out, "\"");
}

/// For `key=value` text; a dash if there is nothing.
char* put_text(char* out, std::string_view key, std::string_view value) {
    out = put(out, key);
    if (value.empty()) {
        return put(out, "-");
    }
    value = cut(value);
    if (!needs_quotes(value)) {
        return put(out, value);
    }
    out = put(out, "\"");
    out = escape_json(out, value);
    return put(out, "\"");
}

std::size_t piece_size(int fd) {
    constexpr std::size_t kFilePiece = 64UL * 1024;
    struct stat status{};
    const bool file = ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    return file ? kFilePiece : PIPE_BUF;
}

std::uint64_t count_lines(std::span<const char> bytes) {
    return static_cast<std::uint64_t>(std::ranges::count(bytes, '\n'));
}

}  // namespace

AccessLogBuffer::AccessLogBuffer(std::size_t capacity, const std::atomic<Format>& format,
                                 int wake_fd)
    : capacity_(std::bit_ceil(std::max(capacity, kSmallestRing))),
      format_(format),
      ring_(std::make_unique_for_overwrite<char[]>(capacity_)),
      line_(std::make_unique_for_overwrite<char[]>(kLongestLine)),
      wake_fd_(wake_fd) {}

void AccessLogBuffer::append(const AccessRecord& record) {
    const bool json = format_.load(std::memory_order_relaxed) == Format::Json;
    const char* const line = line_.get();
    const char* const end =
        json ? format_json(line_.get(), record) : format_text(line_.get(), record);
    const auto size = static_cast<std::size_t>(end - line);
    const auto written = written_.load(std::memory_order_relaxed);
    if (written + size - known_read_ > capacity_) {
        known_read_ = read_.load(std::memory_order_acquire);
        if (written + size - known_read_ > capacity_) {
            dropped_.fetch_add(1, std::memory_order_relaxed);
            return;
        }
    }
    const auto at = written & (capacity_ - 1);
    const auto first = std::min<std::size_t>(size, capacity_ - at);
    std::memcpy(ring_.get() + at, line, first);
    std::memcpy(ring_.get(), line + first, size - first);
    written_.store(written + size, std::memory_order_release);

    const auto half = capacity_ / 2;
    if (written + size - known_read_ > half) {
        known_read_ = read_.load(std::memory_order_acquire);
        const auto used = written + size - known_read_;
        if (used > half && used - size <= half) {
            // A full event counter would mean that the writer has been woken already.
            const std::uint64_t one = 1;
            static_cast<void>(!::write(wake_fd_, &one, sizeof one));
        }
    }
}

char* AccessLogBuffer::format_json(char* out, const AccessRecord& record) {
    out = timestamp_.write(put(out, R"({"time":")"), record.time);
    out = put_string(out, R"(","request_id":")", record.request_id);
    out = put_string(out, R"(,"client":")", record.client);
    out = put_string(out, R"(,"method":")", record.method);
    out = put_string(out, R"(,"host":")", record.host);
    out = escape_json(put(out, R"(,"path":")"), cut(record.path, kLongestPath));
    out = put_string(out, R"(","protocol":")", record.protocol);
    out = put_number(put(out, R"(,"status":)"), record.status);
    out = put_number(put(out, R"(,"bytes_in":)"), record.bytes_in);
    out = put_number(put(out, R"(,"bytes_out":)"), record.bytes_out);
    out = put_seconds(put(out, R"(,"duration":)"), record.duration);
    out = put_seconds(put(out, R"(,"backend_duration":)"), record.backend_duration);
    out = put_string(out, R"(,"pool":")", record.pool);
    out = put_string(out, R"(,"backend":")", record.backend);
    out = put_number(put(out, R"(,"attempts":)"), record.attempts);
    out = put_string(out, R"(,"reason":")", record.reason);
    out = put_string(out, R"(,"trace_id":")", record.trace_id);
    return put(out, "}\n");
}

char* AccessLogBuffer::format_text(char* out, const AccessRecord& record) {
    out = timestamp_.write(out, record.time);
    out = put_text(out, " ", record.client);
    out = escape_json(put(out, " \""), cut(record.method));
    out = escape_json(put(out, " "), cut(record.host));
    out = escape_json(out, cut(record.path, kLongestPath));
    out = escape_json(put(out, " "), cut(record.protocol));
    out = put_number(put(out, "\" "), record.status);
    out = put_number(put(out, " in="), record.bytes_in);
    out = put_number(put(out, " out="), record.bytes_out);
    out = put_seconds(put(out, " duration="), record.duration);
    out = put_seconds(put(out, " backend_duration="), record.backend_duration);
    out = put_text(out, " pool=", record.pool);
    out = put_text(out, " backend=", record.backend);
    out = put_number(put(out, " attempts="), record.attempts);
    out = put_text(out, " reason=", record.reason);
    out = put_text(out, " request_id=", record.request_id);
    out = put_text(out, " trace_id=", record.trace_id);
    return put(out, "\n");
}

void AccessLogBuffer::take(std::vector<char>& out, std::size_t enough) {
    const auto read = read_.load(std::memory_order_relaxed);
    const auto available = written_.load(std::memory_order_acquire) - read;
    const auto at = [&](std::uint64_t offset) { return ring_[(read + offset) & (capacity_ - 1)]; };
    // What is published ends with a newline, so the searches end.
    auto size = std::min<std::uint64_t>(available, enough);
    while (size > 0 && at(size - 1) != '\n') {
        --size;
    }
    if (size == 0 && available > 0) {
        size = enough;
        while (at(size - 1) != '\n') {
            ++size;
        }
    }
    const auto begin = read & (capacity_ - 1);
    const auto first = std::min<std::uint64_t>(size, capacity_ - begin);
    out.insert(out.end(), ring_.get() + begin, ring_.get() + begin + first);
    out.insert(out.end(), ring_.get(), ring_.get() + (size - first));
    read_.store(read + size, std::memory_order_release);
}

AccessLog::AccessLog(const Options& options)
    : options_(options),
      format_(options.format),
      wake_fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      piece_(piece_size(options.fd)) {
    for (std::size_t i = 0; i < options.workers; ++i) {
        buffers_.push_back(std::unique_ptr<AccessLogBuffer>(
            new AccessLogBuffer(options.buffer_size.bytes, format_, wake_fd_)));
    }
    pending_.reserve(std::max(piece_, AccessLogBuffer::kLongestLine));
    // Signals are for the control thread, and a closed stdout is an error, not the end of us.
    sigset_t all{};
    sigset_t before{};
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    writer_ = std::thread([this] { run(); });
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

AccessLog::~AccessLog() {
    stopping_.store(true, std::memory_order_release);
    const std::uint64_t one = 1;
    static_cast<void>(!::write(wake_fd_, &one, sizeof one));
    writer_.join();
    ::close(wake_fd_);
}

std::uint64_t AccessLog::dropped() const {
    auto sum = lost_.load(std::memory_order_relaxed);
    for (const auto& buffer : buffers_) {
        sum += buffer->dropped_.load(std::memory_order_relaxed);
    }
    return sum;
}

void AccessLog::run() {
    constexpr std::chrono::seconds kReportInterval{10};
    RateLimiter reports(1, kReportInterval);
    std::uint64_t reported = 0;
    bool last = false;
    while (!last) {
        last = wait();
        drain_buffers();
        const auto now = dropped();
        if (now != reported && reports.admit(std::chrono::steady_clock::now())) {
            warn("access log lines dropped", "lines", now - reported, "total", now);
            reported = now;
        }
    }
}

/// Until there is reason to look at the buffers; true if it is for the last time.
bool AccessLog::wait() {
    pollfd woken{.fd = wake_fd_, .events = POLLIN, .revents = 0};
    ::poll(&woken, 1, static_cast<int>(options_.flush_interval.count()));
    std::uint64_t count = 0;
    static_cast<void>(::read(wake_fd_, &count, sizeof count));
    if (!stopping_.load(std::memory_order_acquire)) {
        return false;
    }
    stop_by_ = std::chrono::steady_clock::now() + options_.final_flush;
    return true;
}

/// Until all are empty or the descriptor takes no more for a while.
void AccessLog::drain_buffers() {
    const auto count = buffers_.size();
    std::size_t empty = 0;
    while (empty < count || !pending_.empty()) {
        if (!pending_.empty() && !write_pending()) {
            return;
        }
        auto& buffer = *buffers_[turn_];
        turn_ = turn_ + 1 == count ? 0 : turn_ + 1;
        buffer.take(pending_, piece_);
        empty = pending_.empty() ? empty + 1 : 0;
    }
}

/// False if the reader stalls; then the rest is for the next time.
bool AccessLog::write_pending() {
    while (pending_at_ < pending_.size()) {
        const auto rest = std::span(pending_).subspan(pending_at_);
        pollfd ready{.fd = options_.fd, .events = POLLOUT, .revents = 0};
        // The last time there is no next one, so a slow reader gets all that is left of it.
        const auto patience = stop_by_ == MonotonicTime::max()
                                  ? options_.flush_interval
                                  : std::chrono::ceil<std::chrono::milliseconds>(
                                        stop_by_ - std::chrono::steady_clock::now());
        if (::poll(&ready, 1, static_cast<int>(std::max(patience, 0ms).count())) == 0) {
            return false;
        }
        const auto written = ::write(options_.fd, rest.data(), std::min(rest.size(), piece_));
        if (written >= 0) {
            pending_at_ += static_cast<std::size_t>(written);
        } else if (errno == EAGAIN) {
            return false;
        } else if (errno != EINTR) {
            lost_.fetch_add(count_lines(rest), std::memory_order_relaxed);
            break;
        }
    }
    pending_.clear();
    pending_at_ = 0;
    return true;
}

}  // namespace rproxy::log
