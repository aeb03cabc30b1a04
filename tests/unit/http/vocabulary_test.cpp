#include "http/method.h"
#include "http/reason.h"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace rproxy::http {
namespace {

TEST(Method, IsReadAndPrinted) {
    for (const std::string_view name :
         {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}) {
        EXPECT_NE(parse_method(name), Method::Other) << name;
        EXPECT_EQ(to_string(parse_method(name)), name);
    }
    for (const std::string_view name : {"get", "Get", "GETT", "GE", "", "BREW", "other"}) {
        EXPECT_EQ(parse_method(name), Method::Other) << name;
    }
    EXPECT_EQ(to_string(Method::Other), "other");
}

// RFC 9110 §9.2.2.
TEST(Method, KnowsWhatMayBeSentTwice) {
    for (const Method method :
         {Method::Get, Method::Head, Method::Put, Method::Delete, Method::Options, Method::Trace}) {
        EXPECT_TRUE(is_idempotent(method)) << to_string(method);
    }
    for (const Method method : {Method::Post, Method::Connect, Method::Patch, Method::Other}) {
        EXPECT_FALSE(is_idempotent(method)) << to_string(method);
    }
}

// Product contract §4: users' alerts and log queries name these.
TEST(Reason, HasTheStatusAndCodeOfTheContract) {
    const std::vector<std::pair<std::uint16_t, std::string_view>> contract{
        {400, "bad_request"},
        {404, "no_route"},
        {408, "client_timeout"},
        {413, "body_too_large"},
        {414, "uri_too_long"},
        {431, "headers_too_large"},
        {502, "backend_connect_failed"},
        {502, "backend_reset"},
        {502, "backend_bad_response"},
        {503, "no_healthy_backend"},
        {503, "no_backends"},
        {503, "no_config"},
        {503, "queue_full"},
        {503, "connection_limit"},
        {503, "draining"},
        {504, "backend_timeout"},
    };
    for (std::size_t i = 0; i < contract.size(); ++i) {
        const auto& reason = info(static_cast<Reason>(i + 1));
        EXPECT_EQ(reason.status, contract[i].first);
        EXPECT_EQ(reason.code, contract[i].second);
        EXPECT_TRUE(reason.text.ends_with('.')) << reason.code;
        EXPECT_NE(status_phrase(reason.status), "Error") << reason.status;
    }
    EXPECT_EQ(info(Reason::None).code, "");
    EXPECT_EQ(info(Reason::ClientClosed).code, "client_closed");
    EXPECT_EQ(static_cast<std::size_t>(Reason::ClientClosed) + 1, kReasons);
}

}  // namespace
}  // namespace rproxy::http
