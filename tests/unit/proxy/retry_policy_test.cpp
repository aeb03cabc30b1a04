#include "proxy/retry_policy.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rproxy::proxy {
namespace {

using Failure = AttemptFacts::Failure;
using Next = RetryVerdict::Next;
using http::Method;
using metrics::RetryDenial;
using metrics::RetryReason;

constexpr std::array kFailures{Failure::Connect,   Failure::Reset,     Failure::Timeout,
                               Failure::Malformed, Failure::Status502, Failure::Status503,
                               Failure::Status504};

std::string name(Failure failure) {
    constexpr std::array<std::string_view, 7> kNames{"connect", "reset", "timeout", "malformed",
                                                     "502",     "503",   "504"};
    return std::string(kNames.at(static_cast<std::size_t>(failure)));
}

/// What is usually so when `failure` happens to a GET.
AttemptFacts facts_of(Failure failure) {
    AttemptFacts facts;
    facts.failure = failure;
    facts.request_bytes_sent = failure != Failure::Connect;
    facts.response_bytes_seen = is_status(failure);
    return facts;
}

void expect_refused(const AttemptFacts& facts, RetryDenial why, const config::Retry& retry = {}) {
    const auto verdict = decide_retry(facts, retry);
    EXPECT_EQ(verdict.next, Next::GiveUp) << name(facts.failure);
    EXPECT_EQ(verdict.denial, why) << name(facts.failure);
}

TEST(RetryPolicy, TriesAnotherBackendForEveryCause) {
    struct Case {
        Failure failure;
        RetryReason reason;
    };
    for (const auto& [failure, reason] :
         {Case{Failure::Connect, RetryReason::ConnectFailure},
          Case{Failure::Reset, RetryReason::Reset}, Case{Failure::Timeout, RetryReason::Timeout},
          Case{Failure::Status502, RetryReason::Status502},
          Case{Failure::Status503, RetryReason::Status503},
          Case{Failure::Status504, RetryReason::Status504}}) {
        const auto verdict = decide_retry(facts_of(failure), {});
        EXPECT_EQ(verdict.next, Next::OtherBackend) << name(failure);
        EXPECT_EQ(verdict.reason, reason) << name(failure);
    }
}

TEST(RetryPolicy, RefusesPostAfterBytesWereSent) {
    for (const Failure failure : kFailures) {
        if (failure == Failure::Connect || failure == Failure::Malformed) {
            continue;
        }
        for (const Method method : {Method::Post, Method::Patch, Method::Other}) {
            auto facts = facts_of(failure);
            facts.method = method;
            expect_refused(facts, RetryDenial::NotIdempotent);
        }
    }
}

TEST(RetryPolicy, RefusesPostOnAStaleConnectionOnceBytesWereSent) {
    auto facts = facts_of(Failure::Reset);
    facts.method = Method::Post;
    facts.reused_connection = true;
    expect_refused(facts, RetryDenial::NotIdempotent);
}

TEST(RetryPolicy, RetriesPostWhileNothingWasSent) {
    auto facts = facts_of(Failure::Connect);
    facts.method = Method::Post;
    EXPECT_EQ(decide_retry(facts, {}).next, Next::OtherBackend);
}

TEST(RetryPolicy, RetriesEveryIdempotentMethodAfterBytesWereSent) {
    for (const Method method :
         {Method::Get, Method::Head, Method::Put, Method::Delete, Method::Options, Method::Trace}) {
        auto facts = facts_of(Failure::Reset);
        facts.method = method;
        EXPECT_EQ(decide_retry(facts, {}).next, Next::OtherBackend) << to_string(method);
    }
}

TEST(RetryPolicy, RefusesOnceTheClientSawAByte) {
    for (const Failure failure : kFailures) {
        auto facts = facts_of(failure);
        facts.response_forwarded = true;
        expect_refused(facts, RetryDenial::ResponseStarted);
    }
}

TEST(RetryPolicy, RefusesOnceAResponseBegan) {
    for (const Failure failure : {Failure::Reset, Failure::Timeout, Failure::Malformed}) {
        auto facts = facts_of(failure);
        facts.response_bytes_seen = true;
        expect_refused(facts, RetryDenial::ResponseStarted);
    }
}

TEST(RetryPolicy, RefusesWhatIsNotHttpEvenBeforeAnyByteCounts) {
    expect_refused(facts_of(Failure::Malformed), RetryDenial::ResponseStarted);
}

TEST(RetryPolicy, RefusesWhenTheBodyIsGone) {
    for (const Failure failure : kFailures) {
        auto facts = facts_of(failure);
        if (failure != Failure::Malformed) {
            facts.replayable = false;
            expect_refused(facts, RetryDenial::BodyNotBuffered);
        }
    }
}

TEST(RetryPolicy, ReplacesAStaleConnectionOutsideLimitBudgetAndBackends) {
    auto facts = facts_of(Failure::Reset);
    facts.reused_connection = true;
    facts.budget_left = false;
    facts.other_backend = false;
    facts.retries = 99;
    const auto verdict = decide_retry(facts, {.limit = 0, .on = 0});
    EXPECT_EQ(verdict.next, Next::FreshConnection);
    EXPECT_EQ(verdict.reason, RetryReason::StaleConnection);
}

TEST(RetryPolicy, ReplacesAStaleConnectionOnlyOnce) {
    auto facts = facts_of(Failure::Reset);
    facts.reused_connection = true;
    facts.fresh_used = true;
    EXPECT_EQ(decide_retry(facts, {}).next, Next::OtherBackend);
}

TEST(RetryPolicy, TakesOnlyAResetForAStaleConnection) {
    for (const Failure failure : {Failure::Timeout, Failure::Status503}) {
        auto facts = facts_of(failure);
        facts.reused_connection = true;
        EXPECT_EQ(decide_retry(facts, {}).next, Next::OtherBackend) << name(failure);
    }
}

TEST(RetryPolicy, StopsAtTheLimit) {
    for (const Failure failure : kFailures) {
        auto facts = facts_of(failure);
        if (failure == Failure::Malformed) {
            continue;
        }
        facts.retries = 1;
        EXPECT_EQ(decide_retry(facts, {}).next, Next::OtherBackend) << name(failure);
        facts.retries = 2;
        expect_refused(facts, RetryDenial::Limit);
        facts.retries = 0;
        expect_refused(facts, RetryDenial::Limit, {.limit = 0});
    }
}

TEST(RetryPolicy, RetriesOnlyTheCausesThatAreConfigured) {
    struct Case {
        Failure failure;
        config::RetryOn on;
    };
    for (const auto& [failure, on] : {Case{Failure::Connect, config::RetryOn::ConnectFailure},
                                      Case{Failure::Reset, config::RetryOn::Reset},
                                      Case{Failure::Timeout, config::RetryOn::Timeout},
                                      Case{Failure::Status502, config::RetryOn::Status502},
                                      Case{Failure::Status503, config::RetryOn::Status503},
                                      Case{Failure::Status504, config::RetryOn::Status504}}) {
        const auto bit = static_cast<std::uint8_t>(on);
        const auto all_others = static_cast<std::uint8_t>(0x3fU & ~unsigned{bit});
        EXPECT_EQ(decide_retry(facts_of(failure), {.on = bit}).next, Next::OtherBackend)
            << name(failure);
        expect_refused(facts_of(failure), RetryDenial::Limit, {.on = all_others});
    }
}

TEST(RetryPolicy, NeedsAnotherBackend) {
    for (const Failure failure : {Failure::Connect, Failure::Reset, Failure::Status503}) {
        auto facts = facts_of(failure);
        facts.other_backend = false;
        expect_refused(facts, RetryDenial::NoBackend);
    }
}

TEST(RetryPolicy, NeedsBudgetUnlessThereWasNoConnection) {
    for (const Failure failure : kFailures) {
        auto facts = facts_of(failure);
        if (failure == Failure::Malformed) {
            continue;
        }
        facts.budget_left = false;
        if (failure == Failure::Connect) {
            EXPECT_EQ(decide_retry(facts, {}).next, Next::OtherBackend);
        } else {
            expect_refused(facts, RetryDenial::Budget);
        }
    }
}

/// Every combination of facts once; `visit` is told each.
template <typename Visitor>
void for_all_facts(Visitor visit) {
    constexpr unsigned kFlags = 9;
    for (const Failure failure : kFailures) {
        for (unsigned bits = 0; bits < (1U << kFlags); ++bits) {
            const auto bit = [bits](unsigned n) { return (bits >> n & 1U) != 0; };
            AttemptFacts facts;
            facts.failure = failure;
            facts.method = bit(0) ? Method::Post : Method::Get;
            facts.request_bytes_sent = bit(1);
            facts.response_bytes_seen = bit(2);
            facts.response_forwarded = bit(3);
            facts.replayable = bit(4);
            facts.reused_connection = bit(5);
            facts.fresh_used = bit(6);
            facts.budget_left = bit(7);
            facts.other_backend = bit(8);
            visit(facts);
        }
    }
}

// The promises of product contract §4, whatever else is true.
TEST(RetryPolicy, KeepsItsPromisesInEveryState) {
    int allowed = 0;
    for_all_facts([&](const AttemptFacts& facts) {
        for (const std::uint32_t retries : {0U, 1U, 2U}) {
            auto now = facts;
            now.retries = retries;
            const auto verdict = decide_retry(now, {});
            if (verdict.next == Next::GiveUp) {
                continue;
            }
            ++allowed;
            EXPECT_FALSE(now.response_forwarded);
            EXPECT_TRUE(!now.response_bytes_seen || is_status(now.failure));
            EXPECT_TRUE(now.method == Method::Get || !now.request_bytes_sent);
            EXPECT_TRUE(now.replayable);
            if (verdict.next == Next::FreshConnection) {
                EXPECT_TRUE(now.reused_connection && !now.fresh_used);
            } else {
                EXPECT_LT(retries, 2U);
                EXPECT_TRUE(now.other_backend);
                EXPECT_TRUE(now.budget_left || now.failure == Failure::Connect);
            }
        }
    });
    EXPECT_GT(allowed, 100);
}

}  // namespace
}  // namespace rproxy::proxy
