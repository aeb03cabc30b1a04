#pragma once

#include "metrics/cell.h"
#include "metrics/families.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace prometheus {
struct MetricFamily;
}

namespace rproxy::metrics {

/// The answer to one scrape: samples in, in any order, Prometheus text out, in the order of the
/// table. One thread (the admin server's); made for each scrape and thrown away.
///
/// Holds at most `max_series` series, however many are added. Beyond that, families are left out
/// whole, so that no sum over a family is silently too small: first the histograms, then the plain
/// families of backends, then those of pools, each from the end of its section. What is neither
/// (some tens of series) always stays.
class Exposition {
public:
    /// Label values in the order of the definition's label names, as many as those.
    using LabelValues = std::initializer_list<std::string_view>;

    /// What is left out is added to `dropped_total`, which outlives the exposition and is itself
    /// exported.
    Exposition(std::size_t max_series, SharedCounter& dropped_total);
    ~Exposition();
    Exposition(const Exposition&) = delete;
    Exposition& operator=(const Exposition&) = delete;
    Exposition(Exposition&&) = delete;
    Exposition& operator=(Exposition&&) = delete;

    void add(Family family, LabelValues labels, double value);
    void add(Family family, LabelValues labels, const Counter& counter);

    /// In seconds of Unix time; nothing while it is 0, so that `time() - x` never shows 56 years.
    void add_timestamp(Family family, LabelValues labels, std::int64_t unix_milliseconds);

    /// One sample for each known value of the family's last label; `labels` are those before it.
    void add_each(Family family, LabelValues labels, std::span<const std::uint64_t> values);

    /// The same for an enumeration of states: 1 for `current`, else 0.
    void add_state(Family family, LabelValues labels, std::size_t current);

    /// `counts` per bucket, not cumulative, one more than the family has bounds.
    void add_histogram(Family family, LabelValues labels, std::span<const std::uint64_t> counts,
                       std::chrono::nanoseconds sum);

    /// Series held now; a histogram counts as its buckets and two more.
    std::size_t series() const;

    /// Text format 0.0.4. Adds MetricsSeriesDroppedTotal itself. Call once, last.
    std::string render();

    /// What was added, as prometheus-cpp has it; families without samples are left out.
    std::vector<prometheus::MetricFamily> collect() const;

private:
    struct Held;

    bool admit(Family family, std::size_t series);
    void give_up(Family family);

    std::size_t max_series_;
    SharedCounter& dropped_total_;
    std::unique_ptr<Held> held_;
};

/// What `Content-Type` says of the rendered text.
inline constexpr std::string_view kTextContentType = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace rproxy::metrics
