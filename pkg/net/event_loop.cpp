#include "net/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

namespace rproxy::net {

struct EventLoop::Ready {
    std::array<epoll_event, kBatch> events;
    int count{0};
};

EventLoop::EventLoop()
    : epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      wakeup_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      timers_(std::chrono::steady_clock::now()),
      ready_(std::make_unique<Ready>()) {
    if (!epoll_ || !wakeup_) {
        throw std::system_error(errno, std::generic_category(), "cannot create an event loop");
    }
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;
    event.data.ptr = nullptr;  // the wake-up: no handler has this address
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wakeup_.get(), &event);
    read_clocks();
}

EventLoop::~EventLoop() = default;

void EventLoop::read_clocks() {
    now_ = std::chrono::steady_clock::now();
    wall_now_ = std::chrono::system_clock::now();
    turned_at_.store(now_.time_since_epoch().count(), std::memory_order_relaxed);
}

void EventLoop::run() {
    while (!stopping_.load(std::memory_order_acquire)) {
        turn();
    }
    run_posted();
    disposed_.clear();
}

void EventLoop::turn() {
    ready_->count = ::epoll_wait(epoll_.get(), ready_->events.data(), kBatch, wait_milliseconds());
    read_clocks();
    for (int i = 0; i < ready_->count; ++i) {
        const epoll_event event = ready_->events[static_cast<std::size_t>(i)];
        if (event.data.ptr != nullptr) {
            static_cast<EventHandler*>(event.data.ptr)->on_event(event.events);
        } else if (event.events != 0) {
            run_posted();
        }
    }
    ready_->count = 0;
    timers_.advance(now_);
    if (end_of_turn_) {
        end_of_turn_();
    }
    // A destructor may dispose of more.
    while (!disposed_.empty()) {
        auto dead = std::move(disposed_);
        disposed_.clear();
        dead.clear();
        if (disposed_.empty()) {
            disposed_ = std::move(dead);  // keeps the capacity
        }
    }
    turn_ended_ = std::chrono::steady_clock::now();
    if (turn_observer_) {
        turn_observer_(turn_ended_ - now_);
    }
}

int EventLoop::wait_milliseconds() {
    if (std::exchange(again_, false)) {
        return 0;
    }
    const auto due = timers_.next_due();
    if (!due) {
        return static_cast<int>(kLongestWait.count());
    }
    const auto wait = std::chrono::ceil<std::chrono::milliseconds>(*due - turn_ended_);
    return static_cast<int>(std::clamp<std::int64_t>(wait.count(), 0, kLongestWait.count()));
}

void EventLoop::run_posted() {
    std::uint64_t count = 0;
    // Non-blocking; a spurious wake-up finds nothing to read.
    while (::read(wakeup_.get(), &count, sizeof count) > 0) {
    }
    {
        const MutexLock lock(mutex_);
        running_.swap(posted_);
    }
    for (auto& task : running_) {
        task();
    }
    running_.clear();
}

void EventLoop::post(Task task) {
    bool first = false;
    {
        const MutexLock lock(mutex_);
        first = posted_.empty();
        posted_.push_back(std::move(task));
    }
    if (first) {
        const std::uint64_t one = 1;
        // Fails only when the counter is full, and then the loop wakes anyway.
        static_cast<void>(!::write(wakeup_.get(), &one, sizeof one));
    }
}

void EventLoop::stop() {
    stopping_.store(true, std::memory_order_release);
    const std::uint64_t one = 1;
    static_cast<void>(!::write(wakeup_.get(), &one, sizeof one));
}

bool EventLoop::add(int fd, std::uint32_t events, EventHandler& handler) {
    epoll_event event{};
    event.events = events | EPOLLET;
    event.data.ptr = &handler;
    return ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

void EventLoop::modify(int fd, std::uint32_t events, EventHandler& handler) {
    epoll_event event{};
    event.events = events | EPOLLET;
    event.data.ptr = &handler;
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void EventLoop::remove(int fd, EventHandler& handler) {
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
    for (int i = 0; i < ready_->count; ++i) {
        auto& event = ready_->events[static_cast<std::size_t>(i)];
        if (event.data.ptr == &handler) {
            event.data.ptr = nullptr;
            event.events = 0;
        }
    }
}

}  // namespace rproxy::net
