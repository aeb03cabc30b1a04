#include "support/admin_port.h"

#include "base/strings.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>
#include <string_view>

namespace rproxy::test {

namespace {

/// Label values in tests hold no quotes, commas or backslashes.
bool has_labels(std::string_view series, const Labels& labels) {
    return std::ranges::all_of(labels, [series](const auto& label) {
        const std::string text = label.first + "=\"" + label.second + "\"";
        const auto at = series.find(text);
        return at != std::string_view::npos && (series[at - 1] == '{' || series[at - 1] == ',');
    });
}

}  // namespace

RawClient::Response AdminPort::exchange(const std::string& request) const {
    RawClient client(connect_());
    auto response = client.exchange(request);
    if (!response) {
        throw std::runtime_error("the admin port does not answer: " + request);
    }
    return std::move(*response);
}

RawClient::Response AdminPort::get(const std::string& path) const {
    return exchange("GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
}

RawClient::Response AdminPort::post(const std::string& path, const std::string& body) const {
    return exchange("POST " + path +
                    " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: " +
                    std::to_string(body.size()) + "\r\n\r\n" + body);
}

nlohmann::json AdminPort::json(const std::string& path) const {
    return nlohmann::json::parse(get(path).body);
}

std::optional<double> AdminPort::metric(const std::string& name, const Labels& labels) const {
    const auto response = get("/metrics");
    std::optional<double> sum;
    for (const std::string_view line : split_any(response.body, "\n")) {
        const auto space = line.rfind(' ');
        if (!line.starts_with(name) || space == std::string_view::npos ||
            (line[name.size()] != '{' && line[name.size()] != ' ')) {
            continue;
        }
        if (has_labels(line.substr(0, space), labels)) {
            sum =
                sum.value_or(0) + std::strtod(std::string(line.substr(space + 1)).c_str(), nullptr);
        }
    }
    return sum;
}

}  // namespace rproxy::test
