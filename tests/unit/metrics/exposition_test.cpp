#include "metrics/exposition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

namespace rproxy::metrics {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

constexpr std::size_t kPlenty = 1'000'000;

/// One row of a family: every known value, or a number that tells the rows apart.
void fill_row(Exposition& exposition, const Definition& family, Exposition::LabelValues labels,
              std::size_t row) {
    if (family.type == Type::Histogram) {
        const std::vector<std::uint64_t> counts(family.bounds.size() + 1, 3);
        exposition.add_histogram(family.family, labels, counts, 1500ms);
    } else if (family.known_values.empty()) {
        exposition.add(family.family, labels, static_cast<double>(row) + 0.5);
    } else {
        const std::vector<std::uint64_t> values(family.known_values.size(), row);
        exposition.add_each(family.family, labels, values);
    }
}

/// Everything that one scrape has with `backends` backends of one pool.
void fill(Exposition& exposition, std::size_t backends) {
    for (const auto& family : definitions()) {
        if (family.family == Family::MetricsSeriesDroppedTotal) {
            continue;
        }
        const bool last_is_known = !family.known_values.empty() && family.type != Type::Histogram;
        const auto labels = family.label_count() - (last_is_known ? 1 : 0);
        for (std::size_t row = 0; row < (family.section == Section::Backend ? backends : 1);
             ++row) {
            const auto name = "10.0.0." + std::to_string(row) + ":8080";
            const std::array<Exposition::LabelValues, 4> values{
                {{}, {name}, {"web", name}, {"web", name, "10.0.0.1:8080"}}};
            fill_row(exposition, family, values[labels], row);
        }
    }
}

std::string line_of(const std::string& text, const std::string& start) {
    std::istringstream lines{text};
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with(start)) {
            return line.substr(start.size());
        }
    }
    return "(no such line)";
}

class ExpositionTest : public testing::Test {
protected:
    SharedCounter dropped_;
    Exposition exposition_{kPlenty, dropped_};
};

TEST_F(ExpositionTest, KeepsTheOrderOfTheTableWhateverTheOrderOfAdding) {
    exposition_.add(Family::PoolFailOpen, {"web"}, 0);
    exposition_.add(Family::BackendUp, {"web", "b"}, 1);
    exposition_.add(Family::BackendConnectionsActive, {"web", "a"}, 3);
    exposition_.add(Family::BackendUp, {"web", "a"}, 0);
    EXPECT_EQ(exposition_.render(),
              "# HELP rproxy_backend_connections_active Connections now open to the backend, in "
              "use and idle.\n"
              "# TYPE rproxy_backend_connections_active gauge\n"
              "rproxy_backend_connections_active{pool=\"web\",backend=\"a\"} 3\n"
              "# HELP rproxy_backend_up 1 if the backend is eligible for traffic now.\n"
              "# TYPE rproxy_backend_up gauge\n"
              "rproxy_backend_up{pool=\"web\",backend=\"b\"} 1\n"
              "rproxy_backend_up{pool=\"web\",backend=\"a\"} 0\n"
              "# HELP rproxy_pool_fail_open 1 while no backend is up and requests are tried on "
              "backends that are down.\n"
              "# TYPE rproxy_pool_fail_open gauge\n"
              "rproxy_pool_fail_open{pool=\"web\"} 0\n"
              "# HELP rproxy_metrics_series_dropped_total Series left out of scrapes because of "
              "metrics.max_series.\n"
              "# TYPE rproxy_metrics_series_dropped_total counter\n"
              "rproxy_metrics_series_dropped_total 0\n");
}

TEST_F(ExpositionTest, WritesCumulativeBucketsWhoseLastIsTheCount) {
    exposition_.add_histogram(Family::BackendHealthCheckDuration, {"web", "a"},
                              std::vector<std::uint64_t>{4, 0, 1, 0, 0, 2}, 7250ms);
    const auto text = exposition_.render();
    EXPECT_THAT(
        text,
        HasSubstr(
            "# TYPE rproxy_backend_health_check_duration_seconds histogram\n"
            "rproxy_backend_health_check_duration_seconds_bucket{pool=\"web\",backend=\"a\",le=\"0."
            "005\"} 4\n"
            "rproxy_backend_health_check_duration_seconds_bucket{pool=\"web\",backend=\"a\",le=\"0."
            "025\"} 4\n"
            "rproxy_backend_health_check_duration_seconds_bucket{pool=\"web\",backend=\"a\",le=\"0."
            "1\"} 5\n"
            "rproxy_backend_health_check_duration_seconds_bucket{pool=\"web\",backend=\"a\",le=\"0."
            "5\"} 5\n"
            "rproxy_backend_health_check_duration_seconds_bucket{pool=\"web\",backend=\"a\",le="
            "\"2\"} 5\n"
            "rproxy_backend_health_check_duration_seconds_bucket{pool=\"web\",backend=\"a\",le="
            "\"+Inf\"} 7\n"
            "rproxy_backend_health_check_duration_seconds_sum{pool=\"web\",backend=\"a\"} 7.25\n"
            "rproxy_backend_health_check_duration_seconds_count{pool=\"web\",backend=\"a\"} 7\n"));
}

TEST_F(ExpositionTest, WritesAHistogramWithoutLabels) {
    exposition_.add_histogram(
        Family::EventLoopLag, {},
        std::vector<std::uint64_t>(definition(Family::EventLoopLag).bounds.size() + 1, 1), 1s);
    const auto text = exposition_.render();
    EXPECT_EQ(line_of(text, "rproxy_event_loop_lag_seconds_bucket{le=\"0.0001\"} "), "1");
    EXPECT_EQ(line_of(text, "rproxy_event_loop_lag_seconds_bucket{le=\"+Inf\"} "), "13");
    EXPECT_EQ(line_of(text, "rproxy_event_loop_lag_seconds_sum "), "1");
}

TEST_F(ExpositionTest, LeavesOutATimestampUntilItHappened) {
    exposition_.add_timestamp(Family::BackendLastCrashTimestamp, {"web", "a"}, 0);
    exposition_.add_timestamp(Family::BackendLastCrashTimestamp, {"web", "b"}, 1'790'000'000'250);
    const auto text = exposition_.render();
    EXPECT_THAT(text, Not(HasSubstr("backend=\"a\"")));
    EXPECT_EQ(
        line_of(text, "rproxy_backend_last_crash_timestamp_seconds{pool=\"web\",backend=\"b\"} "),
        "1790000000.25");
}

TEST_F(ExpositionTest, ExportsEveryKnownValueOfALabel) {
    const CounterSetSum<QueueRejection> sum;
    exposition_.add_each(Family::PoolQueueRejectionsTotal, {"web"}, sum.values());
    const auto text = exposition_.render();
    EXPECT_EQ(line_of(text, "rproxy_pool_queue_rejections_total{pool=\"web\",reason=\"full\"} "),
              "0");
    EXPECT_EQ(line_of(text, "rproxy_pool_queue_rejections_total{pool=\"web\",reason=\"timeout\"} "),
              "0");
}

TEST_F(ExpositionTest, ExportsAStateAsOneAmongZeros) {
    exposition_.add_state(Family::BackendState, {"web", "a"},
                          static_cast<std::size_t>(BackendState::Down));
    const auto text = exposition_.render();
    for (const auto state : kBackendStateNames) {
        EXPECT_EQ(line_of(text, "rproxy_backend_state{pool=\"web\",backend=\"a\",state=\"" +
                                    std::string{state} + "\"} "),
                  state == "down" ? "1" : "0");
    }
}

TEST_F(ExpositionTest, SurvivesABackendNameThatIsNoText) {
    exposition_.add(Family::BackendUp, {"web", "\"}\n\xFF"}, 1);
    EXPECT_THAT(exposition_.render(), HasSubstr("backend=\"\\\"}\\n\uFFFD\"} 1\n"));
}

TEST(ExpositionLimit, GivesUpHistogramsOfBackendsFirst) {
    SharedCounter dropped;
    Exposition exposition{10, dropped};
    const std::vector<std::uint64_t> counts(14, 1);
    exposition.add(Family::BackendUp, {"web", "a"}, 1);
    exposition.add_histogram(Family::BackendConnectDuration, {"web", "a"}, counts, 1s);
    exposition.add(Family::BackendUp, {"web", "b"}, 1);
    const auto text = exposition.render();
    EXPECT_THAT(text, Not(HasSubstr("connect_duration")));
    EXPECT_THAT(text, HasSubstr("rproxy_backend_up{pool=\"web\",backend=\"b\"} 1\n"));
    EXPECT_EQ(line_of(text, "rproxy_metrics_series_dropped_total "), "16");
    EXPECT_EQ(dropped.value(), 16U);
}

TEST(ExpositionLimit, GivesUpWholeFamiliesFromTheLeastImportant) {
    SharedCounter dropped;
    Exposition exposition{5, dropped};
    for (const auto* const backend : {"a", "b", "c"}) {
        exposition.add(Family::BackendConnectionsActive, {"web", backend}, 1);
        exposition.add(Family::BackendWeight, {"web", backend}, 1);
    }
    exposition.add(Family::Ready, {}, 1);
    const auto text = exposition.render();
    EXPECT_THAT(text, Not(HasSubstr("rproxy_backend_weight")));
    for (const auto* const backend : {"a", "b", "c"}) {
        EXPECT_THAT(text, HasSubstr("rproxy_backend_connections_active{pool=\"web\",backend=\"" +
                                    std::string{backend} + "\"} 1\n"));
    }
    EXPECT_EQ(line_of(text, "rproxy_metrics_series_dropped_total "), "3");
}

TEST(ExpositionLimit, KeepsTheProcessWhateverTheLimit) {
    SharedCounter dropped;
    Exposition exposition{0, dropped};
    exposition.add(Family::BackendUp, {"web", "a"}, 1);
    exposition.add(Family::PoolFailOpen, {"web"}, 1);
    exposition.add(Family::Ready, {}, 1);
    const auto text = exposition.render();
    EXPECT_THAT(text, HasSubstr("rproxy_ready 1\n"));
    EXPECT_EQ(line_of(text, "rproxy_metrics_series_dropped_total "), "2");
}

TEST(ExpositionLimit, HoldsNoMoreThanTheLimitHoweverManyBackends) {
    SharedCounter dropped;
    Exposition all{kPlenty, dropped};
    fill(all, 300);
    Exposition exposition{5'000, dropped};
    fill(exposition, 300);
    EXPECT_LE(exposition.series(), 5'000U);
    EXPECT_GE(exposition.series(), 4'000U);
    const auto kept = exposition.series();
    const auto text = exposition.render();
    EXPECT_EQ(dropped.value(), all.series() - kept);
    EXPECT_THAT(
        text,
        HasSubstr("rproxy_backend_connections_active{pool=\"web\",backend=\"10.0.0.299:8080\"}"));
    EXPECT_THAT(text, HasSubstr("process_open_fds"));
}

TEST(ExpositionLimit, CountsOverScrapes) {
    SharedCounter dropped;
    for (const auto* const total : {"1", "2"}) {
        Exposition exposition{0, dropped};
        exposition.add(Family::BackendUp, {"web", "a"}, 1);
        EXPECT_EQ(line_of(exposition.render(), "rproxy_metrics_series_dropped_total "), total);
    }
}

TEST(ExpositionCost, IsWhatTheReferencePromisesForEachBackend) {
    const auto series = [](std::size_t backends) {
        SharedCounter dropped;
        Exposition exposition{kPlenty, dropped};
        fill(exposition, backends);
        return exposition.series();
    };
    const auto per_backend = series(2) - series(1);
    EXPECT_EQ(per_backend, 57U + 16 + 16 + 8);
}

std::map<std::string, double> samples(const std::string& text) {
    std::map<std::string, double> all;
    std::istringstream lines{text};
    for (std::string line; std::getline(lines, line);) {
        if (!line.starts_with('#')) {
            const auto space = line.rfind(' ');
            all[line.substr(0, space)] = std::stod(line.substr(space + 1));
        }
    }
    return all;
}

TEST_F(ExpositionTest, SaysTheSameAsTheSerializerOfPrometheusCpp) {
    fill(exposition_, 3);
    const auto text = exposition_.render();
    const auto theirs = samples(prometheus::TextSerializer{}.Serialize(exposition_.collect()));
    EXPECT_GT(theirs.size(), 400U);
    EXPECT_EQ(samples(text), theirs);
}

TEST_F(ExpositionTest, PassesPromtool) {
    const auto* const promtool = std::getenv("RPROXY_PROMTOOL");  // NOLINT(concurrency-mt-unsafe)
    if (promtool == nullptr || *promtool == '\0') {
        GTEST_SKIP() << "promtool is not installed";
    }
    fill(exposition_, 2);
    std::string file = testing::TempDir() + "rproxy-metrics-XXXXXX";
    ::close(::mkstemp(file.data()));
    std::ofstream{file} << exposition_.render();
    const auto command = std::string{promtool} + " check metrics <" + file + " 2>&1";
    auto* const pipe = ::popen(command.c_str(), "r");  // NOLINT(cert-env33-c)
    ASSERT_NE(pipe, nullptr);
    std::string said;
    for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) {
        said += static_cast<char>(c);
    }
    EXPECT_EQ(::pclose(pipe), 0);
    EXPECT_EQ(said, "");
    ::unlink(file.c_str());
}

}  // namespace
}  // namespace rproxy::metrics
