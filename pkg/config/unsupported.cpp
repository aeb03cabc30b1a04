#include "config/unsupported.h"

#include <string>

namespace rproxy::config {

std::vector<Issue> unsupported(const Snapshot& snapshot) {
    std::vector<Issue> issues;
    const auto refuse = [&issues](std::string path, const std::string& what) {
        issues.push_back(
            {0, 0, std::move(path), what + " is not supported by this version", "remove the key"});
    };
    for (const auto& pool : snapshot.pools) {
        if (pool.tls) {
            refuse("pools." + pool.name + ".tls", "TLS towards backends");
        }
    }
    return issues;
}

}  // namespace rproxy::config
