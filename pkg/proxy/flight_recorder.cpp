#include "proxy/flight_recorder.h"

namespace rproxy::proxy {

std::string_view to_string(AttemptResult result) {
    switch (result) {
        case AttemptResult::Answered:
            return "answered";
        case AttemptResult::StatusRetried:
            return "status_retried";
        case AttemptResult::ConnectFailed:
            return "connect_failed";
        case AttemptResult::ConnectTimeout:
            return "connect_timeout";
        case AttemptResult::ResponseTimeout:
            return "response_timeout";
        case AttemptResult::Reset:
            return "reset";
        case AttemptResult::StaleConnection:
            return "stale_connection";
        case AttemptResult::Malformed:
            return "malformed";
        case AttemptResult::Cut:
            return "cut";
    }
    return "";
}

AttemptResult attempt_result(AttemptFacts::Failure failure, bool deadline_passed) {
    using Failure = AttemptFacts::Failure;
    switch (failure) {
        case Failure::Connect:
            return deadline_passed ? AttemptResult::ConnectTimeout : AttemptResult::ConnectFailed;
        case Failure::Timeout:
            return AttemptResult::ResponseTimeout;
        case Failure::Malformed:
            return AttemptResult::Malformed;
        case Failure::Status502:
        case Failure::Status503:
        case Failure::Status504:
            return AttemptResult::StatusRetried;
        case Failure::Reset:
            break;
    }
    return AttemptResult::Reset;
}

std::uint8_t worth_recording(const FlightFacts& facts) {
    constexpr std::uint16_t kServersFault = 500;
    std::uint8_t why = 0;
    if (facts.status >= kServersFault || (facts.routed && facts.reason != http::Reason::None)) {
        why |= FlightRecord::Failed;
    }
    if (facts.retried) {
        why |= FlightRecord::Retried;
    }
    if (facts.routed && facts.until_answer > FlightRecorder::kSlow) {
        why |= FlightRecord::Slow;
    }
    return why;
}

std::size_t FlightRecorder::share_of(std::size_t workers) {
    return std::min(kMost, ((2 * kMost) + workers - 1) / std::max<std::size_t>(1, workers));
}

void FlightRecorder::add(const FlightRecord& record) {
    if (ring_.size() < capacity_) {
        ring_.reserve(capacity_);  // once: the first failure pays for all
        ring_.push_back(record);
        return;
    }
    ring_[next_] = record;
    next_ = (next_ + 1) % capacity_;
}

std::vector<FlightRecord> FlightRecorder::records() const {
    std::vector<FlightRecord> records;
    records.reserve(ring_.size());
    for (std::size_t i = 0; i < ring_.size(); ++i) {
        records.push_back(ring_[(next_ + i) % ring_.size()]);
    }
    return records;
}

}  // namespace rproxy::proxy
