#include "metrics/cell.h"

#include "metrics/bounds.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace rproxy::metrics {
namespace {

using testing::ElementsAre;

TEST(Counter, AddsOneUnlessToldHowMany) {
    Counter counter;
    counter.add();
    counter.add(41);
    EXPECT_EQ(counter.value(), 42U);
}

TEST(Counter, NeverGoesBackForAReaderOnAnotherThread) {
    constexpr std::uint64_t kAdds = 200'000;
    Counter counter;
    std::thread writer([&] {
        for (std::uint64_t i = 0; i < kAdds; ++i) {
            counter.add();
        }
    });
    std::uint64_t last = 0;
    bool went_back = false;
    while (last < kAdds) {
        const auto now = counter.value();
        went_back |= now < last;
        last = now;
    }
    writer.join();
    EXPECT_FALSE(went_back);
}

TEST(SharedCounter, LosesNothingBetweenWriters) {
    constexpr std::uint64_t kAdds = 50'000;
    SharedCounter counter;
    const auto count = [&] {
        for (std::uint64_t i = 0; i < kAdds; ++i) {
            counter.add();
        }
    };
    std::thread one(count);
    std::thread other(count);
    one.join();
    other.join();
    EXPECT_EQ(counter.value(), 2 * kAdds);
}

TEST(Gauge, MayBeNegativeOnOneWorkerAndRightInSum) {
    Gauge opened_here;
    Gauge closed_here;
    opened_here.add(3);
    closed_here.sub(2);
    EXPECT_EQ(closed_here.value(), -2);
    EXPECT_EQ(opened_here.value() + closed_here.value(), 1);
}

TEST(Timestamp, IsZeroUntilSetAndAfterClear) {
    Timestamp timestamp;
    EXPECT_EQ(timestamp.milliseconds(), 0);
    timestamp.set(WallTime{std::chrono::milliseconds{1'790'000'000'123}});
    EXPECT_EQ(timestamp.milliseconds(), 1'790'000'000'123);
    timestamp.clear();
    EXPECT_EQ(timestamp.milliseconds(), 0);
}

TEST(CounterSetSum, AddsUpWorkersInTheOrderOfTheLabel) {
    CounterSet<HealthCheckResult> one;
    CounterSet<HealthCheckResult> other;
    one[HealthCheckResult::Success].add(5);
    other[HealthCheckResult::Success].add(2);
    other[HealthCheckResult::Overrun].add();
    CounterSetSum<HealthCheckResult> sum;
    sum.add(one);
    sum.add(other);
    EXPECT_THAT(sum.values(), ElementsAre(7U, 0U, 0U, 1U));
}

TEST(Histogram, CountsABoundItselfInItsBucketAndTheRestInTheLast) {
    Histogram<kHealthCheckBounds> histogram;
    histogram.observe(0ns);
    histogram.observe(5ms);
    histogram.observe(5ms + 1ns);
    histogram.observe(2s);
    histogram.observe(3s);
    HistogramSum<kHealthCheckBounds> sum;
    sum.add(histogram);
    EXPECT_THAT(sum.counts(), ElementsAre(2U, 1U, 0U, 0U, 1U, 1U));
    EXPECT_EQ(sum.sum(), 5010ms + 1ns);
}

TEST(Histogram, TakesATimeThatWentBackAsZero) {
    Histogram<kHealthCheckBounds> histogram;
    histogram.observe(-1ms);
    EXPECT_EQ(histogram.bucket(0).value(), 1U);
    EXPECT_EQ(histogram.sum(), 0ns);
}

TEST(HistogramSum, AddsUpWorkers) {
    Histogram<kHealthCheckBounds> one;
    Histogram<kHealthCheckBounds> other;
    one.observe(1ms);
    other.observe(2ms);
    HistogramSum<kHealthCheckBounds> sum;
    sum.add(one);
    sum.add(other);
    EXPECT_THAT(sum.counts(), ElementsAre(2U, 0U, 0U, 0U, 0U, 0U));
    EXPECT_EQ(sum.sum(), 3ms);
}

TEST(CodeClass, IsTheFirstDigitOrError) {
    EXPECT_EQ(code_class(100), CodeClass::Informational);
    EXPECT_EQ(code_class(204), CodeClass::Success);
    EXPECT_EQ(code_class(599), CodeClass::ServerError);
    EXPECT_EQ(code_class(0), CodeClass::Error);
    EXPECT_EQ(code_class(99), CodeClass::Error);
    EXPECT_EQ(code_class(600), CodeClass::Error);
}

TEST(Labels, ReadAsTheMetricsReferenceSays) {
    EXPECT_EQ(to_string(CodeClass::Error), "error");
    EXPECT_EQ(to_string(BackendState::SlowStart), "slow_start");
    EXPECT_EQ(to_string(RetryDenial::NoBackend), "no_backend");
    EXPECT_EQ(to_string(RequestMethod::Other), "other");
    EXPECT_EQ(to_string(LocalReason::BackendTimeout), "backend_timeout");
    EXPECT_EQ(to_string(ReloadResult::RolledBack), "rolled_back");
}

}  // namespace
}  // namespace rproxy::metrics
