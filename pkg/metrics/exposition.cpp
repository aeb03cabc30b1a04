#include "metrics/exposition.h"

#include "metrics/text_format.h"

#include <prometheus/client_metric.h>
#include <prometheus/metric_family.h>

#include <algorithm>
#include <array>
#include <bitset>
#include <cassert>
#include <utility>

namespace rproxy::metrics {

namespace {

constexpr auto kSections = std::to_array({Section::Backend, Section::Pool});

prometheus::MetricType prometheus_type(Type type) {
    switch (type) {
        case Type::Counter:
            return prometheus::MetricType::Counter;
        case Type::Gauge:
            return prometheus::MetricType::Gauge;
        case Type::Histogram:
            return prometheus::MetricType::Histogram;
    }
    std::unreachable();
}

std::size_t series_of(const Definition& definition) {
    // The +Inf bucket, _sum and _count.
    return definition.type == Type::Histogram ? definition.bounds.size() + 3 : 1;
}

/// The order in which families are given up, and where it ends.
std::vector<Family> sacrifices() {
    std::vector<Family> order;
    for (const bool histograms : {true, false}) {
        for (const auto section : kSections) {
            const auto all = definitions();
            for (std::size_t i = all.size(); i-- > 0;) {
                if (all[i].section == section && (all[i].type == Type::Histogram) == histograms) {
                    order.push_back(all[i].family);
                }
            }
        }
    }
    return order;
}

double seconds(std::chrono::nanoseconds duration) {
    return std::chrono::duration<double>(duration).count();
}

}  // namespace

struct Exposition::Held {
    std::vector<prometheus::MetricFamily> families{definitions().size()};
    std::vector<Family> order{sacrifices()};
    std::size_t given_up{0};  ///< So many of `order` are no longer accepted.
    std::bitset<256> refused;
    std::size_t series{0};
    std::uint64_t dropped{0};

    prometheus::ClientMetric& sample(Family family, LabelValues values,
                                     std::string_view last_value = {});
};

/// A new sample with its labels. `last_value`: of the label after `values`, if there is one more.
prometheus::ClientMetric& Exposition::Held::sample(Family family, LabelValues values,
                                                   std::string_view last_value) {
    const auto& table = definition(family);
    const auto labels = table.label_count();
    assert(values.size() == labels || values.size() + 1 == labels);
    auto& metric = families[static_cast<std::size_t>(family)].metric.emplace_back();
    metric.label.reserve(labels);
    const auto* name = table.label_names.begin();
    for (const auto value : values) {
        metric.label.push_back({std::string{*name++}, std::string{value}});
    }
    if (values.size() < labels) {
        metric.label.push_back({std::string{*name}, std::string{last_value}});
    }
    return metric;
}

namespace {

void set_value(prometheus::ClientMetric& metric, Type type, double value) {
    assert(type != Type::Histogram);
    (type == Type::Counter ? metric.counter.value : metric.gauge.value) = value;
}

}  // namespace

Exposition::Exposition(std::size_t max_series, SharedCounter& dropped_total)
    : max_series_(max_series), dropped_total_(dropped_total), held_(std::make_unique<Held>()) {
    for (const auto& table : definitions()) {
        auto& family = held_->families[static_cast<std::size_t>(table.family)];
        family.name = table.name;
        family.help = table.help;
        family.type = prometheus_type(table.type);
    }
}

Exposition::~Exposition() = default;

bool Exposition::admit(Family family, std::size_t series) {
    while (held_->series + series > max_series_ && held_->given_up < held_->order.size() &&
           !held_->refused[static_cast<std::size_t>(family)]) {
        give_up(held_->order[held_->given_up++]);
    }
    if (held_->refused[static_cast<std::size_t>(family)]) {
        held_->dropped += series;
        return false;
    }
    held_->series += series;
    return true;
}

void Exposition::give_up(Family family) {
    auto& samples = held_->families[static_cast<std::size_t>(family)].metric;
    const auto freed = samples.size() * series_of(definition(family));
    held_->refused.set(static_cast<std::size_t>(family));
    held_->series -= freed;
    held_->dropped += freed;
    samples = {};
}

void Exposition::add(Family family, LabelValues labels, double value) {
    if (admit(family, 1)) {
        set_value(held_->sample(family, labels), definition(family).type, value);
    }
}

void Exposition::add(Family family, LabelValues labels, const Counter& counter) {
    add(family, labels, static_cast<double>(counter.value()));
}

void Exposition::add_timestamp(Family family, LabelValues labels, std::int64_t unix_milliseconds) {
    if (unix_milliseconds != 0) {
        add(family, labels, static_cast<double>(unix_milliseconds) / 1000);
    }
}

void Exposition::add_each(Family family, LabelValues labels,
                          std::span<const std::uint64_t> values) {
    const auto& table = definition(family);
    assert(values.size() == table.known_values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (admit(family, 1)) {
            set_value(held_->sample(family, labels, table.known_values[i]), table.type,
                      static_cast<double>(values[i]));
        }
    }
}

void Exposition::add_state(Family family, LabelValues labels, std::size_t current) {
    const auto& table = definition(family);
    for (std::size_t i = 0; i < table.known_values.size(); ++i) {
        if (admit(family, 1)) {
            set_value(held_->sample(family, labels, table.known_values[i]), table.type,
                      i == current ? 1 : 0);
        }
    }
}

void Exposition::add_histogram(Family family, LabelValues labels,
                               std::span<const std::uint64_t> counts,
                               std::chrono::nanoseconds sum) {
    const auto& table = definition(family);
    assert(table.type == Type::Histogram && counts.size() == table.bounds.size() + 1);
    if (!admit(family, series_of(table))) {
        return;
    }
    auto& histogram = held_->sample(family, labels).histogram;
    histogram.bucket.reserve(counts.size());
    std::uint64_t cumulative = 0;
    for (std::size_t i = 0; i < table.bounds.size(); ++i) {
        cumulative += counts[i];
        histogram.bucket.push_back({cumulative, seconds(table.bounds[i])});
    }
    histogram.sample_count = cumulative + counts.back();
    histogram.sample_sum = seconds(sum);
}

std::size_t Exposition::series() const {
    return held_->series;
}

std::string Exposition::render() {
    dropped_total_.add(std::exchange(held_->dropped, 0));
    set_value(held_->sample(Family::MetricsSeriesDroppedTotal, {}), Type::Counter,
              static_cast<double>(dropped_total_.value()));
    ++held_->series;
    std::string text;
    text.reserve(held_->series * 100);
    for (const auto& family : held_->families) {
        append_text(text, family);
    }
    return text;
}

std::vector<prometheus::MetricFamily> Exposition::collect() const {
    std::vector<prometheus::MetricFamily> families;
    std::ranges::copy_if(held_->families, std::back_inserter(families),
                         [](const auto& family) { return !family.metric.empty(); });
    return families;
}

}  // namespace rproxy::metrics
