#include "proxy/flight_recorder.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

namespace rproxy::proxy {
namespace {

using namespace std::chrono_literals;

TEST(WorthRecording, TellsFailuresRetriesAndSlowOnesFromTheRest) {
    constexpr std::uint8_t kNothing = 0;
    struct Case {
        std::string name;
        FlightFacts facts;
        std::uint8_t why;
    };
    const std::vector<Case> cases{
        {"an ordinary answer", {200, http::Reason::None, true, false, 5ms}, kNothing},
        {"a client's mistake", {404, http::Reason::None, true, false, 5ms}, kNothing},
        {"a scan", {404, http::Reason::NoRoute, false, false, 0ms}, kNothing},
        {"a malformed request", {400, http::Reason::BadRequest, false, false, 0ms}, kNothing},
        {"the backend's 500", {500, http::Reason::None, true, false, 5ms}, FlightRecord::Failed},
        {"our 502", {502, http::Reason::BackendReset, true, false, 5ms}, FlightRecord::Failed},
        {"no configuration",
         {503, http::Reason::NoConfig, false, false, 0ms},
         FlightRecord::Failed},
        {"a client that left",
         {499, http::Reason::ClientClosed, true, false, 0ms},
         FlightRecord::Failed},
        {"a retry that helped", {200, http::Reason::None, true, true, 5ms}, FlightRecord::Retried},
        {"a slow one", {200, http::Reason::None, true, false, 1001ms}, FlightRecord::Slow},
        {"just not slow", {200, http::Reason::None, true, false, 1000ms}, kNothing},
        {"a slow failure after a retry",
         {504, http::Reason::BackendTimeout, true, true, 2s},
         FlightRecord::Failed | FlightRecord::Retried | FlightRecord::Slow},
    };
    for (const auto& [name, facts, why] : cases) {
        EXPECT_EQ(worth_recording(facts), why) << name;
    }
}

FlightRecord numbered(std::uint16_t number) {
    FlightRecord record;
    record.status = number;
    return record;
}

std::string statuses(const FlightRecorder& recorder) {
    std::string text;
    for (const auto& record : recorder.records()) {
        text += std::to_string(record.status) + " ";
    }
    return text;
}

TEST(FlightRecorder, KeepsTheLastOnesInTheirOrder) {
    FlightRecorder recorder(3);
    EXPECT_EQ(statuses(recorder), "");
    recorder.add(numbered(1));
    recorder.add(numbered(2));
    EXPECT_EQ(statuses(recorder), "1 2 ");
    for (std::uint16_t i = 3; i <= 8; ++i) {
        recorder.add(numbered(i));
    }
    EXPECT_EQ(statuses(recorder), "6 7 8 ");
}

TEST(FlightRecorder, IsBoundedHoweverManyWorkersThereAre) {
    for (const std::size_t workers : {1U, 2U, 3U, 8U, 64U, 1024U}) {
        const std::size_t share = FlightRecorder::share_of(workers);
        EXPECT_GE(share, 1U);
        EXPECT_LE(share, FlightRecorder::kMost);
        EXPECT_LE(share * workers * sizeof(FlightRecord), 4U << 20U) << workers;
        EXPECT_GE(share * workers, FlightRecorder::kMost) << workers;
    }
}

TEST(ShortText, CutsWhatIsTooLong) {
    ShortText<4> text;
    EXPECT_EQ(text.view(), "");
    text = "abcdef";
    EXPECT_EQ(text.view(), "abcd");
    text = "x";
    EXPECT_EQ(text.view(), "x");
}

TEST(AttemptNotes, KeepTheFirstThreeAndTheLast) {
    AttemptNotes notes;
    for (std::uint32_t slot = 0; slot < 9; ++slot) {
        notes.add({.slot = slot});
    }
    EXPECT_EQ(notes.count, 9U);
    ASSERT_EQ(notes.kept(), 4U);
    EXPECT_EQ(notes.notes[0].slot, 0U);
    EXPECT_EQ(notes.notes[2].slot, 2U);
    EXPECT_EQ(notes.notes[3].slot, 8U);
}

}  // namespace
}  // namespace rproxy::proxy
