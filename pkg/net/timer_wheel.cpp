#include "net/timer_wheel.h"

#include <algorithm>
#include <bit>
#include <cassert>

namespace rproxy::net {

Timer::~Timer() {
    if (wheel_ != nullptr) {
        wheel_->unlink(*this);
    }
}

TimerWheel::~TimerWheel() {
    for (Timer*& slot : slots_) {
        while (slot != nullptr) {
            unlink(*slot);
        }
    }
}

std::uint64_t TimerWheel::tick_of(MonotonicTime time) const {
    // Rounded up: a timer never fires early.
    const auto since = time - start_;
    return since.count() <= 0
               ? 0
               : static_cast<std::uint64_t>((since + kTick - std::chrono::nanoseconds{1}) / kTick);
}

void TimerWheel::arm(Timer& timer, MonotonicTime deadline) {
    timer.deadline_ = deadline;
    timer.armed_ = true;
    const std::uint64_t wanted = std::clamp(tick_of(deadline), current_ + 1, current_ + kSlots - 1);
    if (timer.wheel_ != nullptr) {
        if (timer.tick_ <= wanted) {
            return;  // looked at no later than needed; it moves on by itself then
        }
        unlink(timer);
    }
    timer.tick_ = wanted;
    link(timer);
}

void TimerWheel::link(Timer& timer) {
    const std::size_t slot = timer.tick_ % kSlots;
    Timer*& head = slots_[slot];
    timer.wheel_ = this;
    timer.next_ = nullptr;
    // At the end: what advance() has still to fire stays before what its callbacks arm.
    if (head == nullptr) {
        head = &timer;
    } else {
        timer.previous_ = head->previous_;
        timer.previous_->next_ = &timer;
    }
    head->previous_ = &timer;
    occupied_[slot / 64] |= std::uint64_t{1} << (slot % 64);
}

void TimerWheel::unlink(Timer& timer) {
    const std::size_t slot = timer.tick_ % kSlots;
    Timer*& head = slots_[slot];
    if (head == &timer) {
        head = timer.next_;
    } else {
        assert(timer.previous_ != nullptr);  // only the head's is the slot's last
        timer.previous_->next_ = timer.next_;
    }
    if (Timer* const behind = timer.next_ != nullptr ? timer.next_ : head) {
        behind->previous_ = timer.previous_;
    }
    if (head == nullptr) {
        occupied_[slot / 64] &= ~(std::uint64_t{1} << (slot % 64));
    }
    timer.wheel_ = nullptr;
    timer.previous_ = nullptr;
    timer.next_ = nullptr;
}

void TimerWheel::advance(MonotonicTime now) {
    // Rounded down: a slot is due once its whole tick has passed.
    const auto target =
        static_cast<std::uint64_t>(std::max<std::int64_t>((now - start_) / kTick, 0));
    // After a long stall every slot is visited once, not once per missed tick.
    const std::uint64_t steps =
        std::min<std::uint64_t>(target - std::min(target, current_), kSlots);
    std::uint64_t tick = target - steps;
    current_ = std::max(current_, target);
    for (std::uint64_t i = 0; i < steps; ++i) {
        ++tick;
        const std::size_t slot = tick % kSlots;
        // A callback may destroy or arm any timer, so the head is taken anew each time; what it
        // arms is linked to another slot or behind what is due, because `current_` has moved
        // already.
        while (Timer* const timer = slots_[slot]) {
            if (timer->tick_ > current_) {
                break;  // armed by a callback for a later round; so is all behind it
            }
            unlink(*timer);
            if (!timer->armed_) {
                continue;
            }
            if (timer->deadline_ > now) {
                arm(*timer, timer->deadline_);
                continue;
            }
            timer->armed_ = false;
            timer->on_timer();
        }
    }
}

std::optional<MonotonicTime> TimerWheel::next_due() const {
    const std::size_t first = (current_ + 1) % kSlots;
    for (std::size_t i = 0; i <= kSlots / 64; ++i) {
        const std::size_t word = (first / 64 + i) % (kSlots / 64);
        std::uint64_t bits = occupied_[word];
        if (i == 0) {
            bits &= ~std::uint64_t{0} << (first % 64);
        }
        if (bits != 0) {
            const std::size_t slot = word * 64 + static_cast<std::size_t>(std::countr_zero(bits));
            const std::uint64_t ahead = (slot + kSlots - first) % kSlots;
            return start_ + (current_ + 1 + ahead) * kTick;
        }
    }
    return std::nullopt;
}

}  // namespace rproxy::net
