#include "tls/ticket_keys.h"

#include <gtest/gtest.h>

namespace rproxy::tls {
namespace {

TEST(TicketKeys, KeepTheOldOnesUntilNoTicketNeedsThem) {
    const auto first = TicketKeys::make();
    const auto second = TicketKeys::rotated(*first);
    const auto third = TicketKeys::rotated(*second);
    const auto fourth = TicketKeys::rotated(*third);
    const auto& name = first->newest().name;
    EXPECT_EQ(first->size(), 1U);
    EXPECT_NE(second->newest().name, name);
    ASSERT_NE(third->find(name), nullptr);
    EXPECT_EQ(third->find(name)->encryption, first->newest().encryption);
    EXPECT_EQ(fourth->find(name), nullptr);
    EXPECT_EQ(fourth->size(), 3U);
}

TEST(TicketKeys, AreRandom) {
    const auto a = TicketKeys::make();
    const auto b = TicketKeys::make();
    EXPECT_NE(a->newest().encryption, b->newest().encryption);
    EXPECT_NE(a->newest().authentication, b->newest().authentication);
}

}  // namespace
}  // namespace rproxy::tls
