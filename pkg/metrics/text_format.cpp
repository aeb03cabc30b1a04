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

/// What may follow a first byte of `first` to `last` (Unicode, table 3-7); a third and fourth byte
/// are always 80 to BF.
struct Utf8Row {
    unsigned first;
    unsigned last;
    std::size_t length;
    unsigned second_first;
    unsigned second_last;
};
constexpr auto kUtf8Rows = std::to_array<Utf8Row>({{0xC2, 0xDF, 2, 0x80, 0xBF},
                                                   {0xE0, 0xE0, 3, 0xA0, 0xBF},
                                                   {0xE1, 0xEC, 3, 0x80, 0xBF},
                                                   {0xED, 0xED, 3, 0x80, 0x9F},
                                                   {0xEE, 0xEF, 3, 0x80, 0xBF},
                                                   {0xF0, 0xF0, 4, 0x90, 0xBF},
                                                   {0xF1, 0xF3, 4, 0x80, 0xBF},
                                                   {0xF4, 0xF4, 4, 0x80, 0x8F}});

/// The length of the UTF-8 sequence that `text`, not empty, begins with; 0 if it is none.
std::size_t utf8_length(std::string_view text) {
    const auto byte = [&](std::size_t i) {
        return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
    };
    if (byte(0) < 0x80) {
        return 1;
    }
    for (const auto& row : kUtf8Rows) {
        if (byte(0) < row.first || byte(0) > row.last) {
            continue;
        }
        bool valid = byte(1) >= row.second_first && byte(1) <= row.second_last;
        for (std::size_t i = 2; i < row.length; ++i) {
            valid = valid && (byte(i) & 0xC0U) == 0x80U;
        }
        return valid ? row.length : 0;
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
    } else if (value == std::trunc(value) && std::abs(value) <= kLargestExactInteger) {
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
