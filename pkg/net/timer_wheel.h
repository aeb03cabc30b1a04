#pragma once

#include "base/clock.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace rproxy::net {

class TimerWheel;

/// A deadline in a TimerWheel: a member of its owner through MemberTimer. Cancels itself when
/// destroyed. Moving a deadline later, which every request does, writes one number; the wheel looks
/// again when the old one comes up (Varghese and Lauck, "Hashed and Hierarchical Timing Wheels",
/// 1987, with lazy cancellation). Bound to its wheel's thread.
class Timer {
public:
    Timer() = default;
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;

    virtual ~Timer();

    bool armed() const { return armed_; }

protected:
    /// The deadline has passed; the timer is no longer armed and may be armed again or destroyed.
    virtual void on_timer() = 0;

private:
    friend class TimerWheel;
    TimerWheel* wheel_{nullptr};  // the wheel whose slot holds it, if any
    Timer* previous_{nullptr};    // in its slot; of the first, the last
    Timer* next_{nullptr};
    MonotonicTime deadline_;
    std::uint64_t tick_{0};  // of the slot that holds it
    bool armed_{false};
};

/// Coarse timers of one thread: never early, at most one tick late while the loop turns.
class TimerWheel {
public:
    static constexpr std::chrono::milliseconds kTick{10};

    explicit TimerWheel(MonotonicTime now) : start_(now) {}
    ~TimerWheel();
    TimerWheel(const TimerWheel&) = delete;
    TimerWheel& operator=(const TimerWheel&) = delete;

    void arm(Timer& timer, MonotonicTime deadline);
    /// Leaves the timer in its slot, dead: cheap, as most timers are cancelled.
    void cancel(Timer& timer) { timer.armed_ = false; }
    /// Fires everything due at `now`.
    void advance(MonotonicTime now);
    /// When advance() next has something to look at; nothing if the wheel is empty.
    std::optional<MonotonicTime> next_due() const;

private:
    static constexpr std::size_t kSlots = 1024;  // × kTick = 10 s; later deadlines go round again
    friend class Timer;

    std::uint64_t tick_of(MonotonicTime time) const;
    void link(Timer& timer);
    void unlink(Timer& timer);

    MonotonicTime start_;
    std::uint64_t current_{0};  // ticks before and including this one were fired
    std::array<Timer*, kSlots> slots_{};
    std::array<std::uint64_t, kSlots / 64> occupied_{};
};

/// Calls a member function of its owner, whose member it is.
template <typename Owner, void (Owner::*kCallback)()>
class MemberTimer final : public Timer {
public:
    explicit MemberTimer(Owner& owner) : owner_(owner) {}

private:
    void on_timer() override { (owner_.*kCallback)(); }
    Owner& owner_;
};

}  // namespace rproxy::net
