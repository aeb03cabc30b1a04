#pragma once

#include "base/ip_address.h"
#include "net/event_loop.h"

#include <condition_variable>
#include <deque>
#include <expected>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace rproxy::net {

/// Looks names up through the system's resolver (hosts file, search domains, DNS: as every program
/// of the container does) on a thread of its own, so that no loop ever waits for it.
class Resolver {
public:
    using Result = std::expected<std::vector<IpAddress>, std::string>;
    using Done = std::move_only_function<void(Result)>;

    explicit Resolver(EventLoop& loop);
    /// Waits for the look-up under way; what is queued is dropped.
    ~Resolver();
    Resolver(const Resolver&) = delete;
    Resolver& operator=(const Resolver&) = delete;

    /// Calls `done` on the loop's thread. Control thread.
    void resolve(std::string host, Done done);

private:
    struct Job {
        std::string host;
        Done done;
    };
    void run();

    EventLoop& loop_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<Job> jobs_;
    bool stopping_{false};
    std::thread thread_;
};

}  // namespace rproxy::net
