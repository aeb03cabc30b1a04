#pragma once

#include "base/clock.h"
#include "config/issue.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

/// What the process remembers of its own life, for the admin API. Values; the control thread owns
/// the originals and hands out copies.
namespace rproxy::control {

enum class Source : std::uint8_t { None, File, LastKnownGood };
std::string_view to_string(Source source);

enum class ReloadResult : std::uint8_t { Applied, Unchanged, Rejected, RolledBack };
std::string_view to_string(ReloadResult result);

/// One accepted configuration.
struct Version {
    std::uint64_t generation{0};
    std::string sha256;
    WallTime applied;
    std::vector<std::string> changes;  ///< In words, against the one before.
    std::string text;
};

/// What became of the last file that was read.
struct LastReload {
    ReloadResult result{ReloadResult::Applied};
    WallTime at;
    std::vector<config::Issue> issues;
    std::string text;  ///< Of a rejected file, so that its errors can be shown in place.
};

/// One line of the timeline.
struct Event {
    enum class Kind : std::uint8_t { BackendState, Config, Process, Pool };
    std::uint64_t id{0};
    WallTime at{};
    Kind kind{Kind::Process};
    std::string pool{};
    std::string backend{};
    std::string from{};
    std::string to{};
    std::string reason{};
    std::uint64_t generation{0};
    std::string result{};
    std::string message{};
};
std::string_view to_string(Event::Kind kind);

/// The last kMost events.
class EventRing {
public:
    static constexpr std::size_t kMost = 2000;
    void add(Event event) {
        event.id = ++last_id_;
        events_.push_back(std::move(event));
        if (events_.size() > kMost) {
            events_.pop_front();
        }
    }
    std::vector<Event> since(std::uint64_t id) const {
        std::vector<Event> found;
        for (const Event& event : events_) {
            if (event.id > id) {
                found.push_back(event);
            }
        }
        return found;
    }
    std::uint64_t last_id() const { return last_id_; }

private:
    std::deque<Event> events_;
    std::uint64_t last_id_{0};
};

}  // namespace rproxy::control
