#include "log/log.h"

#include "log/escape.h"
#include "log/timestamp.h"

#include <poll.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <climits>
#include <cmath>
#include <memory>
#include <mutex>

namespace rproxy::log {

namespace {

constexpr std::array<std::string_view, 4> kLevelNames{"debug", "info", "warn", "error"};
constexpr std::array<std::string_view, 4> kLevelTexts{"DEBUG", "INFO", "WARN", "ERROR"};
constexpr std::array<spdlog::level::level_enum, 4> kSpdlogLevels{
    spdlog::level::debug, spdlog::level::info, spdlog::level::warn, spdlog::level::err};

std::atomic<Format>& format_setting() {
    static std::atomic<Format> format{Format::Json};
    return format;
}

std::atomic<Level>& level_setting() {
    static std::atomic<Level> level{Level::Info};
    return level;
}

/// Writes whole lines to stderr without ever waiting long. stderr may be shared with other
/// processes, so it is not made non-blocking: a pipe that polls as writable takes PIPE_BUF bytes
/// without blocking, which is also what keeps lines whole.
class StderrSink final : public spdlog::sinks::base_sink<std::mutex> {
protected:
    void sink_it_(const spdlog::details::log_msg& message) override {
        const std::string_view line(message.payload.data(), message.payload.size());
        if (lost_ != 0) {
            const Field lost{"lines", lost_};
            const std::string note = format_line(format_setting().load(std::memory_order_relaxed),
                                                 Level::Warn, std::chrono::system_clock::now(),
                                                 "log lines lost, stderr was not read", {&lost, 1});
            if (!write_line(note + '\n')) {
                ++lost_;
                return;
            }
            lost_ = 0;
        }
        if (!write_line(line)) {
            lost_ = 1;
        }
    }
    void flush_() override {}

private:
    /// False if nothing, or not all of it, could be written.
    bool write_line(std::string_view line) {
        if (torn_ && !write_all("\n")) {
            return false;
        }
        torn_ = false;
        return write_all(line);
    }

    bool write_all(std::string_view line) {
        constexpr int kPatienceMs = 50;
        const auto whole = line.size();
        while (!line.empty()) {
            pollfd ready{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
            const bool writable = ::poll(&ready, 1, lost_ == 0 ? kPatienceMs : 0) > 0;
            const auto written = writable ? ::write(STDERR_FILENO, line.data(),
                                                    std::min<std::size_t>(line.size(), PIPE_BUF))
                                          : -1;
            if (!writable || (written < 0 && errno != EINTR)) {
                torn_ = line.size() != whole;
                return false;
            }
            line.remove_prefix(written < 0 ? 0 : static_cast<std::size_t>(written));
        }
        return true;
    }

    // Both under base_sink's lock.
    std::uint64_t lost_{0};  ///< Since the last line that got through.
    bool torn_{false};       ///< The last line was written in part: end it first.
};

/// Never destroyed: threads may log until the process is gone.
spdlog::logger& logger() {
    static auto& instance =
        *std::make_unique<spdlog::logger>("rproxy", std::make_shared<StderrSink>()).release();
    return instance;
}

void append_number(std::string& out, auto number) {
    std::array<char, 32> text{};
    const auto end = std::to_chars(text.data(), text.data() + text.size(), number).ptr;
    out.append(text.data(), end);
}

void append_value(std::string& out, const Value& value, Format format) {
    if (const auto* text = std::get_if<std::string_view>(&value)) {
        if (format == Format::Json) {
            append_json_string(out, *text);
        } else {
            append_text_value(out, *text);
        }
    } else if (const auto* flag = std::get_if<bool>(&value)) {
        out += *flag ? "true" : "false";
    } else if (const auto* real = std::get_if<double>(&value)) {
        if (std::isfinite(*real)) {
            append_number(out, *real);
        } else {
            out += "null";
        }
    } else if (const auto* integer = std::get_if<std::int64_t>(&value)) {
        append_number(out, *integer);
    } else {
        append_number(out, std::get<std::uint64_t>(value));
    }
}

template <typename T>
std::optional<T> index_of(std::span<const std::string_view> names, std::string_view name) {
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (names[i] == name) {
            return static_cast<T>(i);
        }
    }
    return std::nullopt;
}

}  // namespace

std::optional<Level> parse_level(std::string_view name) {
    return index_of<Level>(kLevelNames, name);
}

std::optional<Format> parse_format(std::string_view name) {
    constexpr std::array<std::string_view, 2> kNames{"json", "text"};
    return index_of<Format>(kNames, name);
}

std::string_view to_string(Level level) {
    return kLevelNames[static_cast<std::size_t>(level)];
}

void configure(Level level, Format format) {
    format_setting().store(format, std::memory_order_relaxed);
    level_setting().store(level, std::memory_order_relaxed);
    override_level(std::nullopt);
}

void override_level(std::optional<Level> level) {
    logger().set_level(kSpdlogLevels[static_cast<std::size_t>(level.value_or(configured_level()))]);
}

Level configured_level() {
    return level_setting().load(std::memory_order_relaxed);
}

Level level() {
    for (std::size_t i = 0; i < kSpdlogLevels.size(); ++i) {
        if (kSpdlogLevels[i] == logger().level()) {
            return static_cast<Level>(i);
        }
    }
    return Level::Info;
}

bool enabled(Level level) {
    return logger().should_log(kSpdlogLevels[static_cast<std::size_t>(level)]);
}

std::string format_line(Format format, Level level, WallTime time, std::string_view message,
                        std::span<const Field> fields) {
    std::array<char, Timestamp::kSize> stamp{};
    Timestamp{}.write(stamp.data(), time);
    const std::string_view ts(stamp.data(), stamp.size());
    std::string line;
    line.reserve(256);
    if (format == Format::Json) {
        line.append(R"({"time":")").append(ts).append(R"(","level":")");
        line.append(kLevelNames[static_cast<std::size_t>(level)]).append(R"(","msg":)");
        append_json_string(line, message);
        for (const auto& field : fields) {
            line += ',';
            append_json_string(line, field.key);
            line += ':';
            append_value(line, field.value, format);
        }
        line += '}';
        return line;
    }
    line.append(ts).append(" ").append(kLevelTexts[static_cast<std::size_t>(level)]).append(" ");
    line += message;
    for (const auto& field : fields) {
        line.append(" ").append(field.key).append("=");
        append_value(line, field.value, format);
    }
    return line;
}

void write(Level level, std::string_view message, std::span<const Field> fields) {
    std::string line = format_line(format_setting().load(std::memory_order_relaxed), level,
                                   std::chrono::system_clock::now(), message, fields);
    line += '\n';
    logger().log(kSpdlogLevels[static_cast<std::size_t>(level)],
                 spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace rproxy::log
