#pragma once

#include "proxy/proxy.h"
#include "runtime/worker.h"

#include <cstddef>
#include <memory>
#include <vector>

namespace rproxy::control {

/// The threads and the proxy that each of them runs. Owned by the server; the control thread posts
/// to them.
class Workers {
public:
    struct Member {
        std::unique_ptr<runtime::Worker> worker;
        std::unique_ptr<proxy::Proxy> proxy;
    };

    std::vector<Member>& members() { return members_; }
    const std::vector<Member>& members() const { return members_; }
    std::size_t size() const { return members_.size(); }
    /// Runs `task(proxy)` on each worker's thread.
    template <typename Task>
    void post_to_all(const Task& task) {
        for (auto& member : members_) {
            member.worker->loop().post([&proxy = *member.proxy, task] { task(proxy); });
        }
    }

private:
    std::vector<Member> members_;
};

}  // namespace rproxy::control
