#pragma once

#include "proxy/flight_recorder.h"

#include <cstddef>
#include <expected>
#include <map>
#include <string>
#include <vector>

/// The answer of /api/v1/requests: what the workers' flight recorders hold. Pure.
namespace rproxy::admin {

/// Which records are wanted; everything that is given must apply.
struct RequestQuery {
    std::string pool;
    std::string backend;  ///< Any of the attempts.
    std::string reason;   ///< A code of X-Rproxy-Reason, or `failed`, `retried` or `slow`.
    double since{0};      ///< Unix seconds: ended after this.
    std::size_t limit{100};

    /// From the parameters of a URL; an error is a sentence that says what would be right.
    static std::expected<RequestQuery, std::string> parse(
        const std::multimap<std::string, std::string>& parameters);
    bool wants(const proxy::FlightRecord& record) const;
};

/// The newest `limit` that are wanted of `records`, which may be in any order; newest first.
std::string requests_json(std::vector<proxy::FlightRecord> records, const RequestQuery& query);

}  // namespace rproxy::admin
