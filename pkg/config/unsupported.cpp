#include "config/unsupported.h"

#include <string>

namespace rproxy::config {

std::vector<Issue> unsupported(const Snapshot& snapshot) {
    std::vector<Issue> issues;
    const auto refuse = [&issues](std::string path, const std::string& what) {
        issues.push_back(
            {0, 0, std::move(path), what + " is not supported by this version", "remove the key"});
    };
    for (std::size_t i = 0; i < snapshot.listeners.size(); ++i) {
        const std::string path = "listeners[" + std::to_string(i) + "]";
        if (snapshot.listeners[i].tls) {
            refuse(path + ".tls", "TLS towards clients");
        }
    }
    for (const auto& pool : snapshot.pools) {
        if (pool.tls) {
            refuse("pools." + pool.name + ".tls", "TLS towards backends");
        }
    }
    return issues;
}

}  // namespace rproxy::config
