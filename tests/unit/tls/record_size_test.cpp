#include "tls/record_size.h"

#include <gtest/gtest.h>

#include <vector>

namespace rproxy::tls {
namespace {

using std::chrono::milliseconds;

/// The records that `bytes` become.
std::vector<std::size_t> cut(RecordSize& size, MonotonicTime now, std::size_t bytes) {
    std::vector<std::size_t> records;
    size.begin_write(now);
    while (bytes != 0) {
        records.push_back(std::min(bytes, size.limit()));
        size.wrote(records.back());
        bytes -= records.back();
    }
    return records;
}

TEST(RecordSize, BeginsWithOneSegmentAndEndsWithAllThatFits) {
    RecordSize size;
    const MonotonicTime now{std::chrono::hours{1}};
    EXPECT_EQ(cut(size, now, 50'000),
              (std::vector<std::size_t>{1340, 4096, 4096, 4096, 16384, 16384, 3604}));
}

TEST(RecordSize, BeginsAnewAfterAPause) {
    RecordSize size;
    const MonotonicTime now{std::chrono::hours{1}};
    cut(size, now, 50'000);
    EXPECT_EQ(cut(size, now + milliseconds{999}, 16384), std::vector<std::size_t>{16384});
    EXPECT_EQ(cut(size, now + milliseconds{2000}, 2000), (std::vector<std::size_t>{1340, 660}));
}

TEST(RecordSize, CountsBytesAndNotRecords) {
    RecordSize size;
    const MonotonicTime now{std::chrono::hours{1}};
    cut(size, now, 150);  // a head by itself
    EXPECT_EQ(size.limit(), RecordSize::kFirst);
}

}  // namespace
}  // namespace rproxy::tls
