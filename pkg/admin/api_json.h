#pragma once

#include "admin/metrics_collector.h"
#include "config/issue.h"
#include "control/controller.h"

#include <string>
#include <string_view>
#include <vector>

/// The admin API's answers (docs/api.md) as JSON text. Pure: a Status in, text out.
namespace rproxy::admin {

struct ProcessFacts {
    BuildInfo build;
    WallTime started;
    WallTime now;
    std::size_t workers{0};
    std::uint64_t requests_total{0};
    std::int64_t requests_active{0};
};

std::string status_json(const control::Status& status, const ProcessFacts& process);
std::string backends_json(const control::Status& status);
std::string config_json(const control::Status& status,
                        const std::vector<control::Version>& versions, const std::string& path,
                        bool writable);
std::string events_json(const std::vector<control::Event>& events, std::uint64_t last_id);
std::string check_json(bool valid, const std::vector<config::Issue>& issues,
                       const std::vector<std::string>& changes, const std::string& file);
/// `level` is the one that counts, `configured` the file's or the flag's.
std::string log_json(std::string_view level, std::string_view configured);
std::string error_json(const std::string& error, const std::string& hint);

}  // namespace rproxy::admin
