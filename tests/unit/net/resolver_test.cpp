#include "net/resolver.h"

#include "net/socket.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace rproxy::net {
namespace {

TEST(Resolver, FindsLocalhostOnTheLoopsThread) {
    EventLoop loop;
    std::optional<Resolver::Result> result;
    std::thread::id thread;
    Resolver resolver(loop);
    resolver.resolve("localhost", [&](Resolver::Result found) {
        result = std::move(found);
        thread = std::this_thread::get_id();
        loop.stop();
    });
    loop.run();
    ASSERT_TRUE(result.has_value() && result->has_value());
    EXPECT_FALSE((*result)->empty());
    EXPECT_TRUE(std::ranges::all_of(**result, &IpAddress::is_loopback));
    EXPECT_EQ(thread, std::this_thread::get_id());
}

TEST(Resolver, SaysWhyANameIsNotFound) {
    EventLoop loop;
    std::optional<Resolver::Result> result;
    Resolver resolver(loop);
    // Longer than any name may be: no server is asked.
    resolver.resolve(std::string(300, 'a'), [&](Resolver::Result found) {
        result = std::move(found);
        loop.stop();
    });
    loop.run();
    ASSERT_TRUE(result);
    ASSERT_FALSE(result->has_value());
    EXPECT_FALSE(result->error().empty());
}

TEST(Resolver, AnswersInTheOrderOfAsking) {
    EventLoop loop;
    std::vector<int> answered;
    Resolver resolver(loop);
    for (int i = 0; i < 3; ++i) {
        resolver.resolve("127.0.0." + std::to_string(i + 1), [&, i](const Resolver::Result& found) {
            ASSERT_TRUE(found);
            EXPECT_EQ(found->front().to_string(), "127.0.0." + std::to_string(i + 1));
            answered.push_back(i);
            if (answered.size() == 3) {
                loop.stop();
            }
        });
    }
    loop.run();
    EXPECT_EQ(answered, (std::vector{0, 1, 2}));
}

TEST(Resolver, CallsNobodyOnceItIsDestroyed) {
    EventLoop loop;
    bool called = false;
    {
        Resolver resolver(loop);
        for (int i = 0; i < 50; ++i) {
            resolver.resolve("127.0.0.1", [&](const Resolver::Result&) { called = true; });
        }
    }
    EXPECT_FALSE(called);  // at most posted to a loop that has not turned
}

TEST(ResolveBlocking, NamesEachAddressOnce) {
    const auto found = resolve_blocking("127.0.0.1");
    ASSERT_TRUE(found);
    EXPECT_EQ(found->size(), 1U);
    EXPECT_EQ(resolve_blocking("::1")->front().to_string(), "::1");
}

}  // namespace
}  // namespace rproxy::net
