#include "net/resolver.h"

#include "net/socket.h"

#include <thread>

namespace rproxy::net {

Resolver::Resolver(EventLoop& loop) : shared_(std::make_shared<Shared>()) {
    shared_->loop = &loop;
    std::thread([shared = shared_] { run(shared); }).detach();
}

Resolver::~Resolver() {
    {
        const std::lock_guard lock(shared_->mutex);
        shared_->loop = nullptr;
        shared_->jobs.clear();
    }
    shared_->wake.notify_one();
}

void Resolver::resolve(std::string host, Done done) {
    {
        const std::lock_guard lock(shared_->mutex);
        shared_->jobs.push_back({std::move(host), std::move(done)});
    }
    shared_->wake.notify_one();
}

void Resolver::run(const std::shared_ptr<Shared>& shared) {
    while (true) {
        Job job;
        {
            std::unique_lock lock(shared->mutex);
            shared->wake.wait(lock,
                              [&] { return shared->loop == nullptr || !shared->jobs.empty(); });
            if (shared->loop == nullptr) {
                return;
            }
            job = std::move(shared->jobs.front());
            shared->jobs.pop_front();
        }
        auto result = resolve_blocking(job.host);
        const std::lock_guard lock(shared->mutex);
        if (shared->loop == nullptr) {
            return;
        }
        shared->loop->post([done = std::move(job.done), result = std::move(result)]() mutable {
            done(std::move(result));
        });
    }
}

}  // namespace rproxy::net
