#pragma once

#include "control/controller.h"
#include "control/workers.h"
#include "log/access_log.h"
#include "metrics/cell.h"

#include <map>
#include <string>

namespace rproxy::admin {

/// Who this build is.
struct BuildInfo {
    std::string version;
    std::string revision;
    std::string compiler;
};

/// Sums what the workers counted into one exposition. One scrape at a time (the caller sees to it);
/// the workers do not notice.
class MetricsCollector {
public:
    MetricsCollector(const control::Workers& workers, const log::AccessLog* access_log,
                     BuildInfo build)
        : workers_(workers), access_log_(access_log), build_(std::move(build)) {}

    /// The answer to a scrape.
    std::string render(control::Status status);

private:
    using RowKey = std::pair<std::string, std::string>;  // pool and backend

    void remember_departed(control::Status& status);

    const control::Workers& workers_;
    const log::AccessLog* access_log_;
    const BuildInfo build_;
    metrics::SharedCounter series_dropped_;
    /// What the last scrape showed: a backend that has left since is shown once more, so that its
    /// last requests are not lost between two scrapes.
    std::map<RowKey, control::BackendStatus> shown_;
};

}  // namespace rproxy::admin
