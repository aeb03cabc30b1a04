#include "proxy/ticket.h"

namespace rproxy::proxy {

Ticket::Ticket(WorkerPool& pool, std::uint32_t slot) : pool_(&pool), slot_(slot) {
    auto& connections = *pool.slots[slot];
    connections.backend()->load().in_flight.fetch_add(1, std::memory_order_relaxed);
    connections.cells().requests_active.add();
    pool.policy->policy->load_changed(slot);
}

void Ticket::release() {
    if (pool_ == nullptr) {
        return;
    }
    WorkerPool& pool = *std::exchange(pool_, nullptr);
    auto& connections = *pool.slots[slot_];
    connections.backend()->load().in_flight.fetch_sub(1, std::memory_order_relaxed);
    connections.cells().requests_active.sub();
    pool.policy->policy->load_changed(slot_);
}

bool Ticket::admitted() const {
    const auto most = pool_->plan->backends[slot_].max_connections;
    return most == 0 ||
           pool_->slots[slot_]->backend()->load().in_flight.load(std::memory_order_relaxed) <= most;
}

}  // namespace rproxy::proxy
