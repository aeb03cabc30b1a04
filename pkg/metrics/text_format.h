#pragma once

#include <string>
#include <string_view>

namespace prometheus {
struct MetricFamily;
}

/// The Prometheus text exposition format 0.0.4
/// (https://prometheus.io/docs/instrumenting/exposition_formats/).
namespace rproxy::metrics {

/// HELP, TYPE and the samples of a family; nothing for a family without samples. The family is a
/// counter, a gauge or a histogram, as all of ours are, and its help is one line without `\\`.
void append_text(std::string& out, const prometheus::MetricFamily& family);

/// The shortest text that reads back as the same value; whole numbers without an exponent as far
/// as a double counts exactly. `NaN`, `+Inf` and `-Inf` as the format spells them.
void append_number(std::string& out, double value);

/// A label's value with `\`, `"` and newline escaped. What is not UTF-8 becomes U+FFFD: Prometheus
/// refuses the whole scrape for one stray byte.
void append_label_value(std::string& out, std::string_view value);

}  // namespace rproxy::metrics
