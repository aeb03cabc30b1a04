#pragma once

#include "base/clock.h"
#include "base/thread_annotations.h"
#include "net/fd.h"
#include "net/timer_wheel.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace rproxy::net {

/// What a file descriptor's owner is told of.
class EventHandler {
public:
    /// `events` are EPOLL* bits. Edge triggered: read or write until the socket has no more.
    virtual void on_event(std::uint32_t events) = 0;

protected:
    ~EventHandler() = default;
};

/// Something to be destroyed at the end of the turn, when no frame below still uses it.
class Disposable {
public:
    virtual ~Disposable() = default;
};

/// One thread's epoll loop: registered once per descriptor and edge triggered, so that a request
/// costs no epoll_ctl and no read that finds nothing (docs/adr/0002). Everything but post(), stop()
/// and turned_at() belongs to the thread that calls run().
class EventLoop {
public:
    using Task = std::move_only_function<void()>;

    EventLoop();
    ~EventLoop();
    EventLoop(const EventLoop&) = delete;
    EventLoop& operator=(const EventLoop&) = delete;

    /// Turns until stop(). Runs what was posted before it returns.
    void run() RPROXY_REQUIRES(!mutex_);
    void stop();
    /// Runs `task` on the loop's thread, in the order of posting, never before returning.
    void post(Task task) RPROXY_REQUIRES(!mutex_);

    /// Read once per turn: what happens in a turn happens at one time.
    MonotonicTime now() const { return now_; }
    WallTime wall_now() const { return wall_now_; }
    /// When the loop last began a turn; at most about kLongestWait ago in a healthy one. Any
    /// thread.
    MonotonicTime turned_at() const {
        return MonotonicTime{MonotonicTime::duration{turned_at_.load(std::memory_order_relaxed)}};
    }
    static constexpr std::chrono::milliseconds kLongestWait{1000};

    /// Watches `fd` for `events` (edge triggered) until remove(). False if the system refuses.
    bool add(int fd, std::uint32_t events, EventHandler& handler);
    void modify(int fd, std::uint32_t events, EventHandler& handler);
    /// No event reaches `handler` afterwards, not even one of this turn.
    void remove(int fd, EventHandler& handler);

    void arm(Timer& timer, MonotonicTime deadline) { timers_.arm(timer, deadline); }
    void cancel(Timer& timer) { timers_.cancel(timer); }
    /// Destroys `object` at the end of the turn.
    void dispose(std::unique_ptr<Disposable> object) { disposed_.push_back(std::move(object)); }
    /// Called at the end of every turn, before waiting again: for flushing batches.
    void set_end_of_turn(Task task) { end_of_turn_ = std::move(task); }
    /// Called at the end of a turn: the next one comes at once, with whatever is ready by then.
    void turn_again() { again_ = true; }
    /// Told how long each turn worked, for the lag histogram.
    void set_turn_observer(std::move_only_function<void(std::chrono::nanoseconds)> observer) {
        turn_observer_ = std::move(observer);
    }

private:
    static constexpr int kBatch = 256;

    void read_clocks();
    int wait_milliseconds();
    void run_posted() RPROXY_REQUIRES(!mutex_);
    void turn() RPROXY_REQUIRES(!mutex_);

    Fd epoll_;
    Fd wakeup_;
    TimerWheel timers_;
    MonotonicTime now_;
    WallTime wall_now_;
    MonotonicTime turn_ended_{};
    std::atomic<MonotonicTime::rep> turned_at_{0};
    std::atomic<bool> stopping_{false};
    struct Ready;
    std::unique_ptr<Ready> ready_;
    std::vector<std::unique_ptr<Disposable>> disposed_;
    Task end_of_turn_;
    bool again_{false};
    std::move_only_function<void(std::chrono::nanoseconds)> turn_observer_;
    Mutex mutex_;
    std::vector<Task> posted_ RPROXY_GUARDED_BY(mutex_);
    std::vector<Task> running_;
};

}  // namespace rproxy::net
