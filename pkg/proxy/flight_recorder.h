#pragma once

#include "base/clock.h"
#include "http/reason.h"
#include "proxy/retry_policy.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace rproxy::proxy {

/// Up to N bytes of a text, by value; what is longer is cut.
template <std::size_t N>
class ShortText {
public:
    ShortText() = default;
    ShortText& operator=(std::string_view text) {
        size_ = static_cast<std::uint16_t>(std::min(text.size(), N));
        std::copy_n(text.data(), size_, bytes_.data());
        return *this;
    }
    std::string_view view() const { return {bytes_.data(), size_}; }

private:
    std::uint16_t size_{0};
    std::array<char, N> bytes_{};
};

/// How one attempt ended.
enum class AttemptResult : std::uint8_t {
    Answered,       ///< With a status that the client got.
    StatusRetried,  ///< With a 502, 503 or 504 that was tried elsewhere.
    ConnectFailed,
    ConnectTimeout,
    ResponseTimeout,
    Reset,
    StaleConnection,  ///< A reused connection that the backend had closed; repeated on a fresh one.
    Malformed,
    Cut,  ///< The request ended before this attempt did: the client left, or the body was refused.
};
std::string_view to_string(AttemptResult result);
/// Of a failed attempt.
AttemptResult attempt_result(AttemptFacts::Failure failure, bool deadline_passed);

/// What an Exchange notes of each attempt while it runs. The first three and the last are kept.
struct AttemptNotes {
    struct Note {
        std::uint32_t slot{0};
        std::uint32_t pool{0};
        std::uint32_t microseconds{0};
        std::uint16_t status{0};
        AttemptResult result{AttemptResult::Answered};
    };
    static constexpr std::size_t kMost = 4;

    void add(const Note& note) {
        notes[std::min<std::size_t>(count, kMost - 1)] = note;
        ++count;
    }
    std::size_t kept() const { return std::min<std::size_t>(count, kMost); }

    std::array<Note, kMost> notes{};
    std::uint32_t count{0};
};

/// Timers that fired during a request; bits of FlightRecord::timers.
enum class FiredTimer : std::uint8_t {
    Connect = 1,
    Response = 2,
    Body = 4,
    Queue = 8,
    Client = 16
};

/// A request that failed, was retried or was slow. Values only: no field of a head but the ids, no
/// query.
struct FlightRecord {
    enum Why : std::uint8_t { Failed = 1, Retried = 2, Slow = 4 };
    struct Attempt {
        ShortText<64> backend;
        std::chrono::microseconds duration{0};
        std::uint16_t status{0};  ///< 0: there was none.
        AttemptResult result{AttemptResult::Answered};
    };

    WallTime time;        ///< When it ended.
    std::uint8_t why{0};  ///< Bits of Why.
    std::uint8_t timers{0};
    std::uint16_t status{0};
    http::Reason reason{http::Reason::None};
    std::uint64_t generation{0};
    std::uint32_t attempts{0};
    std::uint32_t kept_attempts{0};
    std::chrono::nanoseconds duration{0};
    std::chrono::nanoseconds until_answer{0};  ///< To the answer's beginning; 0: there was none.
    std::chrono::nanoseconds backend_duration{0};
    std::chrono::nanoseconds queued{0};
    std::uint64_t bytes_in{0};
    std::uint64_t bytes_out{0};
    ShortText<128> request_id;
    ShortText<32> trace_id;
    ShortText<46> client;
    ShortText<16> method;
    ShortText<96> host;
    ShortText<192> path;
    ShortText<64> pool;
    std::array<Attempt, AttemptNotes::kMost> tried;
};

/// Facts in, verdict out: why a request is worth a record; 0: it is not. What a peer can bring
/// about at will (malformed requests, paths that nobody serves) is not, or it would wash away the
/// rest.
struct FlightFacts {
    std::uint16_t status{0};
    http::Reason reason{http::Reason::None};
    bool routed{false};
    bool retried{false};
    std::chrono::nanoseconds until_answer{0};
};
std::uint8_t worth_recording(const FlightFacts& facts);

/// The last failed, retried and slow requests of one worker: a ring that costs nothing until the
/// first of them, and a copy of some hundred bytes for each. No lock, for it is the worker's alone:
/// who wants to read it posts a task there. Worker thread only.
class FlightRecorder {
public:
    /// Slow: the answer began later than this after the request's first byte.
    static constexpr std::chrono::seconds kSlow{1};
    /// Over all workers, as far as they share the load evenly.
    static constexpr std::size_t kMost = 1000;
    /// For each of `workers`: twice an even share, so that an uneven one still leaves kMost, and
    /// never more than kMost.
    static std::size_t share_of(std::size_t workers);

    explicit FlightRecorder(std::size_t capacity) : capacity_(capacity) {}
    void add(const FlightRecord& record);
    /// Oldest first.
    std::vector<FlightRecord> records() const;

private:
    const std::size_t capacity_;
    std::vector<FlightRecord> ring_;
    std::size_t next_{0};  ///< Of ring_, once it is full.
};

}  // namespace rproxy::proxy
