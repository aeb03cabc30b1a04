#pragma once

#include "base/clock.h"

namespace rproxy::proxy {

class Session;
struct WorkerPool;

/// A request that waits for a free slot of a backend.
struct Waiter {
    Session* session{nullptr};  ///< To go on when there is a slot.
    MonotonicTime since;
    const WorkerPool* pool{nullptr};  ///< Whose slots it can use; two during a rollout. Compared.
    bool choosy{false};               ///< It has tried some of them already.
    bool woken{false};                ///< A slot was free; it has not looked yet.
    bool tell_others{
        false};  ///< If nobody here can use that slot, other workers are to hear of it.
    Waiter* next{nullptr};
    Waiter* previous{nullptr};
};

/// One worker's waiting requests of a pool, first come first served. Owns none of them: each leaves
/// before its end. Worker thread only.
class WaitQueue {
public:
    Waiter* first() const { return first_; }
    bool empty() const { return first_ == nullptr; }
    void push(Waiter& waiter) {
        waiter.previous = last_;
        waiter.next = nullptr;
        (last_ != nullptr ? last_->next : first_) = &waiter;
        last_ = &waiter;
    }
    void remove(Waiter& waiter) {
        (waiter.previous != nullptr ? waiter.previous->next : first_) = waiter.next;
        (waiter.next != nullptr ? waiter.next->previous : last_) = waiter.previous;
        waiter.next = waiter.previous = nullptr;
    }

private:
    Waiter* first_{nullptr};
    Waiter* last_{nullptr};
};

}  // namespace rproxy::proxy
