#pragma once

#include "backends/backend.h"
#include "backends/pool_state.h"
#include "base/rng.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace rproxy::backends {

/// Finds what survives a reload: a backend by pool and address, a pool by name. Keeps them only as
/// long as somebody else does: a plan, a request, or the scrape that still owes a removed backend's
/// last numbers. Control thread only.
class Registry {
public:
    /// `rng` gives each pool's turn a random start, so that replicas do not march in step.
    Registry(std::size_t workers, std::uint64_t seed) : workers_(workers), rng_(seed) {}

    std::shared_ptr<Backend> backend(const BackendKey& key, const net::SocketAddress& address) {
        auto& known = backends_[key];
        auto backend = known.lock();
        if (!backend) {
            backend = std::make_shared<Backend>(key, address, workers_);
            known = backend;
        }
        return backend;
    }
    std::shared_ptr<PoolState> pool(const std::string& name) {
        auto& known = pools_[name];
        auto pool = known.lock();
        if (!pool) {
            pool = std::make_shared<PoolState>(name, rng_.next() >> 32U, workers_);
            known = pool;
        }
        return pool;
    }
    /// Drops the names of what is gone.
    void sweep() {
        std::erase_if(backends_, [](const auto& entry) { return entry.second.expired(); });
        std::erase_if(pools_, [](const auto& entry) { return entry.second.expired(); });
    }

private:
    const std::size_t workers_;
    XoshiroRng rng_;
    std::map<BackendKey, std::weak_ptr<Backend>> backends_;
    std::map<std::string, std::weak_ptr<PoolState>> pools_;
};

}  // namespace rproxy::backends
