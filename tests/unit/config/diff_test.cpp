#include "config/diff.h"

#include "unit/config/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace rproxy::config::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> plan_of(std::string_view before, std::string_view after) {
    return plan(must_load(before), must_load(after));
}

TEST(Plan, IsEmptyForTheSameMeaning) {
    EXPECT_THAT(plan_of("backends: 'a:1, b:1'\n",
                        "pools: {default: {backends: [b:1, {address: a:1}], retry: {limit: 2}}}\n"),
                IsEmpty());
}

TEST(Plan, NamesBackendsByAddress) {
    EXPECT_THAT(
        plan_of(
            "pools: {web: {backends: [a:1, {address: b:1, name: big}, c:1]}}",
            "pools: {web: {backends: [{address: c:1, weight: 3, max_connections: 9}, d:1, a:1]}}"),
        ElementsAre(
            "pool web: backend big (b:1) removed: finishes its requests, then its connections "
            "close",
            "pool web: backend c:1: weight 1 -> 3", "pool web: backend c:1: max_connections 0 -> 9",
            "pool web: backend d:1 added"));
}

TEST(Plan, SaysThatABackendDrains) {
    EXPECT_THAT(
        plan_of("backends: [a:1]", "backends: [{address: a:1, state: drain, name: x}]"),
        ElementsAre("pool default: backend a:1 drains: finishes its requests, gets no new ones",
                    "pool default: backend a:1: name a:1 -> x",
                    "pool default: backend a:1: state up -> drain"));
}

TEST(Plan, NamesThePoolsSettings) {
    EXPECT_THAT(
        plan_of("backends: [a:1]\nmethod: round_robin\nwhen_all_down: fail\nsticky: {ttl: 1m}\n",
                "backends: [a:1]\nmethod: random\nhealth_check: {path: /x, interval: 1s}\n"
                "retry: {on: [reset]}\ntimeouts: {client_idle: 1s}\n"),
        ElementsAre("pool default: method round_robin -> random",
                    "pool default: sticky {cookie: rproxy_backend, ttl: 1m} -> unset",
                    "pool default: health_check.interval 5s -> 1s",
                    "pool default: health_check.path unset -> /x",
                    "pool default: retry.on [connect_failure, reset, timeout, \"502\", \"503\", "
                    "\"504\"] -> [reset]",
                    "pool default: when_all_down fail -> try_anyway",
                    "timeouts.client_idle 1m -> 1s"));
}

TEST(Plan, NamesPoolsAndRoutes) {
    EXPECT_THAT(
        plan_of("pools: {a: {backends: [a:1]}, b: {backends: []}}\n"
                "routes: [{pool: a}, {host: x.y, path: /api, pool: a}, {path: /old, pool: b}]",
                "pools: {a: {backends: [a:1]}, c: {backends: [c:1, c:2]}}\n"
                "routes: [{host: x.y, path: /api, pool: c}, {pool: a}, {path: /new, pool: c}]"),
        ElementsAre("pool b removed: its 0 backends finish their requests, then their "
                    "connections close",
                    "pool c added with 2 backends", "route */old removed (was to pool b)",
                    "route x.y/api: now to pool c (was to pool a)",
                    "route */new added: to pool c"));
}

TEST(Plan, NamesListeners) {
    EXPECT_THAT(
        plan_of("backends: []\nlisteners: [{name: a, address: 0.0.0.0:1}, {name: b, address: "
                "0.0.0.0:2}]",
                "backends: []\nlisteners: [{name: c, address: 0.0.0.0:3}, {name: a, address: "
                "0.0.0.0:4, backlog: 5}]"),
        ElementsAre("listener b removed: 0.0.0.0:2 accepts no new connections, open ones stay",
                    "listener c added on 0.0.0.0:3",
                    "listener a: address 0.0.0.0:1 -> 0.0.0.0:4 (re-bound; open connections stay)",
                    "listener a: backlog 1024 -> 5"));
}

TEST(Plan, SaysWhatIsNotLive) {
    EXPECT_THAT(
        plan_of("backends: []", "backends: []\nadmin: {address: 127.0.0.1:1}"),
        ElementsAre(
            "admin unset -> {address: 127.0.0.1:1} (not live: takes effect at the next start)"));
    EXPECT_THAT(
        plan_of("backends: []\nadmin: {address: 127.0.0.1:2}",
                "backends: []\nadmin: {address: 127.0.0.1:1}"),
        ElementsAre(
            "admin.address 127.0.0.1:2 -> 127.0.0.1:1 (not live: takes effect at the next start)"));
}

}  // namespace
}  // namespace rproxy::config::testing
