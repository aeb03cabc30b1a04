// Backends that fall again and again: held down, and yet there when nobody else is.

#include "integration/setup.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <string>

namespace rproxy::test {
namespace {

class Flapping : public testing::Test {
protected:
    nlohmann::json row(const RunningProxy& proxy) const {
        const auto pools = proxy.admin().json("/api/v1/backends").at("pools");
        for (const auto& backend : pools.at(0).at("backends")) {
            if (backend.at("address") == flapping_.address()) {
                return backend;
            }
        }
        return nullptr;
    }
    double checks_passed(const RunningProxy& proxy) const {
        return proxy
            .metric("rproxy_backend_health_checks_total",
                    {{"backend", flapping_.address()}, {"result", "success"}})
            .value_or(0);
    }
    /// Falls for the third time within minutes and listens again.
    void flap(const RunningProxy& proxy) {
        for (int falls = 1; falls <= 3; ++falls) {
            ASSERT_TRUE(proxy.wait_for_state(flapping_.address(), "up"));
            flapping_.stop();
            ASSERT_TRUE(proxy.wait_for_state(flapping_.address(), "down"));
            flapping_.start_again();
        }
    }
    /// The reason of the last change to this state.
    static std::string last_reason(const RunningProxy& proxy, const std::string& to) {
        std::string reason;
        const auto timeline = proxy.admin().json("/api/v1/events");
        for (const auto& event : timeline.at("events")) {
            if (event.value("to", "") == to) {
                reason = event.value("reason", "");
            }
        }
        return reason;
    }

    FakeBackend flapping_;
    FakeBackend steady_;
};

TEST_F(Flapping, IsHeldDownAndSaysUntilWhen) {
    const auto proxy = ProxyUnderTest::with_yaml(to(flapping_, steady_) + kQuickChecks);
    EXPECT_TRUE(row(proxy).at("held_until").is_null());
    flap(proxy);
    const auto held = row(proxy);
    EXPECT_EQ(held.at("state"), "down");
    EXPECT_EQ(held.at("recent_falls"), 3);
    const double hold = held.at("held_until").get<double>() - held.at("last_crash").get<double>();
    EXPECT_NEAR(hold, 10, 0.5);
    bool told = false;
    const auto timeline = proxy.admin().json("/api/v1/events");
    for (const auto& event : timeline.at("events")) {
        told = told || event.value("message", "").find("held down for 10 s after 3 falls") !=
                           std::string::npos;
    }
    EXPECT_TRUE(told);
}

TEST_F(Flapping, ServesWhoHasNobodyElseLeft) {
    const auto proxy = ProxyUnderTest::with_yaml(to(flapping_, steady_) + kQuickChecks);
    flap(proxy);
    const double before = checks_passed(proxy);
    ASSERT_TRUE(wait_until([&] { return checks_passed(proxy) >= before + 2; }));
    const auto requests = flapping_.request_count();
    for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(proxy.get().status, 200);
    }
    EXPECT_EQ(flapping_.request_count(), requests) << "the steady one is there";
    steady_.otherwise(hang_up());
    EXPECT_EQ(proxy.get().status, 200);
    EXPECT_EQ(flapping_.request_count(), requests + 1);
    EXPECT_EQ(proxy.backend_state(flapping_.address()), "down");
}

TEST_F(Flapping, IsNoOutage) {
    const auto proxy = ProxyUnderTest::with_yaml(to(flapping_, steady_) + kQuickChecks);
    flap(proxy);
    steady_.stop();
    ASSERT_TRUE(proxy.wait_for_state(steady_.address(), "down"));
    ASSERT_TRUE(proxy.wait_for_state(flapping_.address(), "up"));
    EXPECT_EQ(last_reason(proxy, "up"), "hold_lifted");
    EXPECT_EQ(proxy.get().status, 200);
    EXPECT_TRUE(row(proxy).at("held_until").is_null());
}

TEST_F(Flapping, AloneComesUpAsSoonAsItsChecksPass) {
    const auto proxy = ProxyUnderTest::with_yaml(to(flapping_) + kQuickChecks);
    flap(proxy);
    ASSERT_TRUE(proxy.wait_for_state(flapping_.address(), "up"));
    EXPECT_EQ(last_reason(proxy, "up"), "hold_lifted");
}

}  // namespace
}  // namespace rproxy::test
