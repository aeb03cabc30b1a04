#pragma once

#include "base/ip_address.h"
#include "net/event_loop.h"

#include <condition_variable>
#include <deque>
#include <expected>
#include <functional>
#include <memory>
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
    /// Drops what is queued and does not wait for the look-up under way, which may take seconds:
    /// its answer is dropped, too.
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
    struct Shared {
        std::mutex mutex;
        std::condition_variable wake;
        std::deque<Job> jobs;
        EventLoop* loop{nullptr};  // null once the Resolver is gone
    };
    static void run(const std::shared_ptr<Shared>& shared);

    std::shared_ptr<Shared> shared_;
};

}  // namespace rproxy::net
