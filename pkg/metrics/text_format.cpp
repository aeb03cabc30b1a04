#include "metrics/text_format.h"

#include <prometheus/client_metric.h>
#include <prometheus/metric_family.h>

#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace rproxy::metrics {

namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

constexpr double kLargestExactInteger = 9007199254740992;  // 2^53
constexpr double kSmallestFixed = 1e-6;

std::string_view type_name(MetricType type) {
    switch (type) {
        case MetricType::Counter:
            return "counter";
        case MetricType::Histogram:
            return "histogram";
        default:
            return "gauge";
    }
}

void append_integer(std::string& out, std::int64_t value) {
    std::array<char, 24> text{};
    const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
    out.append(text.data(), end);
}

/// The length of the UTF-8 sequence that `text` begins with (Unicode table 3-7), 0 if it is none.
std::size_t utf8_length(std::string_view text) {
    const auto byte = [&](std::size_t i) {
        return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
    };
    const auto continues = [&](std::size_t i) { return (byte(i) & 0xC0U) == 0x80U; };
    const auto first = byte(0);
    if (first < 0x80) {
        return 1;
    }
    if (first >= 0xC2 && first <= 0xDF) {
        return continues(1) ? 2 : 0;
    }
    if (first >= 0xE0 && first <= 0xEF) {
        const bool overlong = first == 0xE0 && byte(1) < 0xA0;
        const bool surrogate = first == 0xED && byte(1) > 0x9F;
        return !overlong && !surrogate && continues(1) && continues(2) ? 3 : 0;
    }
    if (first >= 0xF0 && first <= 0xF4) {
        const bool overlong = first == 0xF0 && byte(1) < 0x90;
        const bool too_great = first == 0xF4 && byte(1) > 0x8F;
        return !overlong && !too_great && continues(1) && continues(2) && continues(3) ? 4 : 0;
    }
    return 0;
}

bool is_plain(char c) {
    return static_cast<unsigned char>(c) < 0x80 && c != '\\' && c != '"' && c != '\n';
}

/// `a="x",b="y"`, to stand between braces.
void append_labels(std::string& out, const std::vector<ClientMetric::Label>& labels) {
    bool first = true;
    for (const auto& label : labels) {
        if (!first) {
            out += ',';
        }
        first = false;
        out += label.name;
        out += "=\"";
        append_label_value(out, label.value);
        out += '"';
    }
}

void append_sample(std::string& out, std::string_view name, const ClientMetric& metric,
                   double value) {
    out += name;
    if (!metric.label.empty()) {
        out += '{';
        append_labels(out, metric.label);
        out += '}';
    }
    out += ' ';
    append_number(out, value);
    out += '\n';
}

void append_histogram(std::string& out, std::string_view name, const ClientMetric& metric) {
    std::string labels;
    append_labels(labels, metric.label);
    const auto bucket = [&](double upper_bound, std::uint64_t count) {
        out += name;
        out += "_bucket{";
        out += labels;
        out += labels.empty() ? "le=\"" : ",le=\"";
        append_number(out, upper_bound);
        out += "\"} ";
        append_integer(out, static_cast<std::int64_t>(count));
        out += '\n';
    };
    const auto& histogram = metric.histogram;
    for (const auto& each : histogram.bucket) {
        bucket(each.upper_bound, each.cumulative_count);
    }
    bucket(std::numeric_limits<double>::infinity(), histogram.sample_count);
    append_sample(out, std::string{name} + "_sum", metric, histogram.sample_sum);
    append_sample(out, std::string{name} + "_count", metric,
                  static_cast<double>(histogram.sample_count));
}

}  // namespace

void append_number(std::string& out, double value) {
    if (std::isnan(value)) {
        out += "NaN";
    } else if (std::isinf(value)) {
        out += value > 0 ? "+Inf" : "-Inf";
    } else if (value == std::trunc(value) && std::abs(value) < kLargestExactInteger) {
        append_integer(out, static_cast<std::int64_t>(value));
    } else {
        std::array<char, 32> text{};
        // Without a format, 0.0001 would be 1e-04: shorter, but nobody's bucket bound.
        const auto format =
            std::abs(value) >= kSmallestFixed && std::abs(value) < kLargestExactInteger
                ? std::chars_format::fixed
                : std::chars_format::scientific;
        const auto end = std::to_chars(text.data(), text.data() + text.size(), value, format).ptr;
        out.append(text.data(), end);
    }
}

void append_label_value(std::string& out, std::string_view value) {
    while (!value.empty()) {
        std::size_t plain = 0;
        while (plain < value.size() && is_plain(value[plain])) {
            ++plain;
        }
        out += value.substr(0, plain);
        value.remove_prefix(plain);
        if (value.empty()) {
            return;
        }
        const auto length = utf8_length(value);
        if (value.front() == '\n') {
            out += "\\n";
        } else if (value.front() == '\\' || value.front() == '"') {
            out += '\\';
            out += value.front();
        } else if (length == 0) {
            out += "\uFFFD";
        } else {
            out += value.substr(0, length);
        }
        value.remove_prefix(length == 0 ? 1 : length);
    }
}

void append_text(std::string& out, const MetricFamily& family) {
    if (family.metric.empty()) {
        return;
    }
    out += "# HELP " + family.name + " " + family.help + "\n# TYPE " + family.name + " ";
    out += type_name(family.type);
    out += '\n';
    for (const auto& metric : family.metric) {
        switch (family.type) {
            case MetricType::Counter:
                append_sample(out, family.name, metric, metric.counter.value);
                break;
            case MetricType::Histogram:
                append_histogram(out, family.name, metric);
                break;
            default:
                append_sample(out, family.name, metric, metric.gauge.value);
        }
    }
}

}  // namespace rproxy::metrics
