#include "net/event_loop.h"

#include "net/stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace rproxy::net {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

std::pair<Stream, Stream> stream_pair() {
    std::array<int, 2> fds{-1, -1};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds.data()), 0);
    return {Stream(Fd(fds[0])), Stream(Fd(fds[1]))};
}

void send(Stream& stream, std::string text) {
    const iovec piece{text.data(), text.size()};
    ASSERT_EQ(stream.write({&piece, 1}).bytes, text.size());
}

class ScriptedHandler final : public EventHandler {
public:
    explicit ScriptedHandler(std::function<void(std::uint32_t)> told) : told_(std::move(told)) {}
    void on_event(std::uint32_t events) override { told_(events); }

private:
    std::function<void(std::uint32_t)> told_;
};

class OnDestruction final : public Disposable {
public:
    explicit OnDestruction(std::function<void()> destroyed) : destroyed_(std::move(destroyed)) {}
    ~OnDestruction() override { destroyed_(); }
    OnDestruction(const OnDestruction&) = delete;
    OnDestruction& operator=(const OnDestruction&) = delete;

private:
    std::function<void()> destroyed_;
};

TEST(EventLoop, RunsTasksInTheOrderOfPosting) {
    EventLoop loop;
    std::vector<int> ran;
    for (int i = 0; i < 5; ++i) {
        loop.post([&ran, i] { ran.push_back(i); });
    }
    EXPECT_TRUE(ran.empty());  // never before post() returns
    loop.post([&loop] { loop.stop(); });
    loop.run();
    EXPECT_THAT(ran, ElementsAre(0, 1, 2, 3, 4));
}

TEST(EventLoop, RunsWhatATaskPostsInALaterRound) {
    EventLoop loop;
    std::vector<std::string> ran;
    loop.post([&] {
        loop.post([&] {
            ran.emplace_back("inner");
            loop.stop();
        });
        ran.emplace_back("outer");
    });
    loop.run();
    EXPECT_THAT(ran, ElementsAre("outer", "inner"));
}

TEST(EventLoop, RunsWhatWasPostedAlthoughItWasStoppedFirst) {
    EventLoop loop;
    bool ran = false;
    loop.stop();
    loop.post([&] { ran = true; });
    loop.run();
    EXPECT_TRUE(ran);
}

TEST(EventLoop, TakesTasksFromOtherThreadsInEachOnesOrder) {
    constexpr int kEach = 1000;
    EventLoop loop;
    std::array<std::vector<int>, 2> ran;
    int left = 2 * kEach;
    const auto produce = [&](std::size_t producer) {
        for (int i = 0; i < kEach; ++i) {
            loop.post([&, producer, i] {
                ran.at(producer).push_back(i);
                if (--left == 0) {
                    loop.stop();
                }
            });
        }
    };
    std::thread first(produce, 0);
    std::thread second(produce, 1);
    loop.run();
    first.join();
    second.join();
    for (const auto& each : ran) {
        EXPECT_EQ(each.size(), static_cast<std::size_t>(kEach));
        EXPECT_TRUE(std::ranges::is_sorted(each));
    }
}

TEST(EventLoop, TellsAHandlerOfWhatItsDescriptorHas) {
    EventLoop loop;
    auto [near, far] = stream_pair();
    std::uint32_t seen = 0;
    ScriptedHandler handler([&](std::uint32_t events) {
        seen |= events;
        loop.stop();
    });
    ASSERT_TRUE(loop.add(near.fd(), EPOLLIN | EPOLLRDHUP, handler));
    send(far, "x");
    far.shutdown_write();
    loop.run();
    EXPECT_TRUE(seen & EPOLLIN);
    EXPECT_TRUE(seen & EPOLLRDHUP);
    loop.remove(near.fd(), handler);
}

TEST(EventLoop, SaysWhenADescriptorCannotBeWatched) {
    EventLoop loop;
    ScriptedHandler handler([](std::uint32_t) {});
    EXPECT_FALSE(loop.add(-1, EPOLLIN, handler));
}

TEST(EventLoop, TellsNobodyWhoWasRemovedInTheSameTurn) {
    EventLoop loop;
    auto [near_a, far_a] = stream_pair();
    auto [near_b, far_b] = stream_pair();
    std::vector<std::string> told;
    std::unique_ptr<ScriptedHandler> a;
    std::unique_ptr<ScriptedHandler> b;
    // Whoever comes first removes and destroys the other, whose event is in the same batch.
    const auto remove_other = [&](std::string name, Stream& stream,
                                  std::unique_ptr<ScriptedHandler>& other) {
        told.push_back(std::move(name));
        loop.remove(stream.fd(), *other);
        other.reset();
        loop.post([&] { loop.stop(); });
    };
    a = std::make_unique<ScriptedHandler>([&](std::uint32_t) { remove_other("a", near_b, b); });
    b = std::make_unique<ScriptedHandler>([&](std::uint32_t) { remove_other("b", near_a, a); });
    ASSERT_TRUE(loop.add(near_a.fd(), EPOLLIN, *a));
    ASSERT_TRUE(loop.add(near_b.fd(), EPOLLIN, *b));
    send(far_a, "x");
    send(far_b, "x");
    loop.run();
    EXPECT_EQ(told.size(), 1U);
}

TEST(EventLoop, DisposesAtTheEndOfTheTurnThoughNotBefore) {
    EventLoop loop;
    std::vector<std::string> order;
    loop.set_end_of_turn([&] { order.emplace_back("end of turn"); });
    loop.post([&] {
        loop.dispose(std::make_unique<OnDestruction>([&] { order.emplace_back("destroyed"); }));
        order.emplace_back("task");
    });
    loop.post([&] {
        order.emplace_back("next task");
        loop.stop();
    });
    loop.run();
    EXPECT_THAT(order, ElementsAre("task", "next task", "end of turn", "destroyed"));
}

TEST(EventLoop, DisposesWhatADestructorDisposesOf) {
    EventLoop loop;
    int destroyed = 0;
    loop.post([&] {
        loop.dispose(std::make_unique<OnDestruction>([&] {
            ++destroyed;
            loop.dispose(std::make_unique<OnDestruction>([&] { ++destroyed; }));
        }));
        loop.stop();
    });
    loop.run();
    EXPECT_EQ(destroyed, 2);
}

TEST(EventLoop, FiresTimersAtOrAfterTheirDeadline) {
    struct Owner {
        explicit Owner(EventLoop& with) : loop(with) {}
        void deadline() {
            fired = loop.now();
            loop.stop();
        }
        EventLoop& loop;
        MonotonicTime fired;
        MemberTimer<Owner, &Owner::deadline> timer{*this};
    };
    EventLoop loop;
    Owner owner(loop);
    const auto deadline = loop.now() + 15ms;
    loop.arm(owner.timer, deadline);
    loop.run();
    EXPECT_GE(owner.fired, deadline);
}

TEST(EventLoop, KeepsOneTimeThroughATurnAndTellsHowLongItWorked) {
    EventLoop loop;
    MonotonicTime in_task;
    MonotonicTime in_next_task;
    int observed = 0;
    loop.set_turn_observer([&](std::chrono::nanoseconds took) {
        EXPECT_GE(took.count(), 0);
        ++observed;
    });
    loop.post([&] { in_task = loop.now(); });
    loop.post([&] {
        in_next_task = loop.now();
        loop.stop();
    });
    loop.run();
    EXPECT_EQ(in_task, in_next_task);
    EXPECT_EQ(loop.turned_at(), in_task);
    EXPECT_GE(observed, 1);
}

}  // namespace
}  // namespace rproxy::net
