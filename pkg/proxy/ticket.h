#pragma once

#include "proxy/worker_plan.h"

#include <cstdint>
#include <utility>

namespace rproxy::proxy {

/// A request counted against its backend, for as long as this lives.
class Ticket {
public:
    Ticket() = default;
    Ticket(WorkerPool& pool, std::uint32_t slot);
    ~Ticket() { release(); }
    Ticket(Ticket&& other) noexcept
        : pool_(std::exchange(other.pool_, nullptr)), slot_(other.slot_) {}
    Ticket& operator=(Ticket&& other) noexcept {
        if (this != &other) {
            release();
            pool_ = std::exchange(other.pool_, nullptr);
            slot_ = other.slot_;
        }
        return *this;
    }
    Ticket(const Ticket&) = delete;
    Ticket& operator=(const Ticket&) = delete;
    void release();
    /// Whether the backend takes this request under its max_connections.
    bool admitted() const;
    explicit operator bool() const { return pool_ != nullptr; }

private:
    WorkerPool* pool_{nullptr};
    std::uint32_t slot_{0};
};

}  // namespace rproxy::proxy
