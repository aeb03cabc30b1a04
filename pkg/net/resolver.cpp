#include "net/resolver.h"

#include "net/socket.h"

namespace rproxy::net {

Resolver::Resolver(EventLoop& loop) : loop_(loop), thread_([this] { run(); }) {}

Resolver::~Resolver() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        jobs_.clear();
    }
    wake_.notify_one();
    thread_.join();
}

void Resolver::resolve(std::string host, Done done) {
    {
        const std::lock_guard lock(mutex_);
        jobs_.push_back({std::move(host), std::move(done)});
    }
    wake_.notify_one();
}

void Resolver::run() {
    while (true) {
        Job job;
        {
            std::unique_lock lock(mutex_);
            wake_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
            if (stopping_) {
                return;
            }
            job = std::move(jobs_.front());
            jobs_.pop_front();
        }
        auto result = resolve_blocking(job.host);
        loop_.post([done = std::move(job.done), result = std::move(result)]() mutable {
            done(std::move(result));
        });
    }
}

}  // namespace rproxy::net
