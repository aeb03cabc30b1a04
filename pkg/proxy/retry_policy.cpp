#include "proxy/retry_policy.h"

namespace rproxy::proxy {

namespace {

using Failure = AttemptFacts::Failure;
using Next = RetryVerdict::Next;
using metrics::RetryDenial;
using metrics::RetryReason;

struct Cause {
    config::RetryOn on;
    RetryReason reason;
};

Cause cause_of(Failure failure) {
    switch (failure) {
        case Failure::Connect:
            return {config::RetryOn::ConnectFailure, RetryReason::ConnectFailure};
        case Failure::Reset:
        case Failure::Malformed:
            return {config::RetryOn::Reset, RetryReason::Reset};
        case Failure::Timeout:
            return {config::RetryOn::Timeout, RetryReason::Timeout};
        case Failure::Status502:
            return {config::RetryOn::Status502, RetryReason::Status502};
        case Failure::Status503:
            return {config::RetryOn::Status503, RetryReason::Status503};
        case Failure::Status504:
            return {config::RetryOn::Status504, RetryReason::Status504};
    }
    return {};
}

RetryVerdict give_up(RetryDenial denial) {
    return {Next::GiveUp, {}, denial};
}

}  // namespace

bool is_status(Failure failure) {
    return failure == Failure::Status502 || failure == Failure::Status503 ||
           failure == Failure::Status504;
}

RetryVerdict decide_retry(const AttemptFacts& facts, const config::Retry& retry) {
    const bool response_begun =
        facts.response_forwarded || (facts.response_bytes_seen && !is_status(facts.failure));
    if (response_begun || facts.failure == Failure::Malformed) {
        return give_up(RetryDenial::ResponseStarted);
    }
    // Twice the effect is worse than one error: a request that is not idempotent and may have
    // reached a backend is not sent again, not even when the connection was a stale one.
    if (facts.request_bytes_sent && !http::is_idempotent(facts.method)) {
        return give_up(RetryDenial::NotIdempotent);
    }
    if (!facts.replayable) {
        return give_up(RetryDenial::BodyNotBuffered);
    }
    if (facts.reused_connection && facts.failure == Failure::Reset && !facts.fresh_used) {
        return {Next::FreshConnection, RetryReason::StaleConnection, {}};
    }
    const Cause cause = cause_of(facts.failure);
    if (!retry.retries(cause.on) || facts.retries >= retry.limit) {
        return give_up(RetryDenial::Limit);
    }
    if (!facts.other_backend) {
        return give_up(RetryDenial::NoBackend);
    }
    // A connection that never was costs the other backends nothing they would not have had anyway.
    if (facts.failure != Failure::Connect && !facts.budget_left) {
        return give_up(RetryDenial::Budget);
    }
    return {Next::OtherBackend, cause.reason, {}};
}

}  // namespace rproxy::proxy
