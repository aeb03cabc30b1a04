#pragma once

#include "config/snapshot.h"
#include "http/method.h"
#include "metrics/labels.h"

#include <cstdint>

/// Whether a failed attempt may be made again: facts in, verdict out. No I/O, no clock.
namespace rproxy::proxy {

struct AttemptFacts {
    enum class Failure : std::uint8_t {
        Connect,    ///< No connection: refused, unreachable, timed out.
        Reset,      ///< The connection ended before the response was whole.
        Timeout,    ///< No response head in time.
        Malformed,  ///< What came is not HTTP.
        Status502,
        Status503,
        Status504,
    };
    Failure failure{Failure::Connect};
    http::Method method{http::Method::Get};
    bool request_bytes_sent{false};  ///< Any byte of the request left for the backend.
    bool response_bytes_seen{
        false};  ///< Any byte of a response came (a 502, 503, 504 head is whole).
    bool response_forwarded{false};  ///< The client has seen a byte of a response, 1xx included.
    bool replayable{true};           ///< Head and body so far are still in the buffer.
    bool reused_connection{false};
    bool fresh_used{false};    ///< The one retry of a stale connection was made already.
    std::uint32_t retries{0};  ///< Made so far, those of stale connections not counted.
    bool budget_left{true};
    bool other_backend{true};  ///< An eligible one that was not tried.
};

/// A whole response was there, and its status is what failed.
bool is_status(AttemptFacts::Failure failure);

struct RetryVerdict {
    enum class Next : std::uint8_t {
        GiveUp,
        OtherBackend,     ///< Pick again, the failed one excluded while there is another.
        FreshConnection,  ///< Same backend, new connection: a pooled one went stale. Costs no
                          ///< budget.
    };
    Next next{Next::GiveUp};
    metrics::RetryReason reason{};  ///< For the retry counter.
    metrics::RetryDenial denial{};  ///< For GiveUp, why.
};

RetryVerdict decide_retry(const AttemptFacts& facts, const config::Retry& retry);

}  // namespace rproxy::proxy
