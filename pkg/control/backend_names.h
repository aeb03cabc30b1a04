#pragma once

#include "base/clock.h"
#include "base/duration.h"
#include "base/ip_address.h"
#include "config/snapshot.h"
#include "net/event_loop.h"
#include "net/resolver.h"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace rproxy::control {

/// The names among the backends of the configuration, and the addresses behind them: looked up
/// again each `resolve.interval`, and at once (but not more than once a second) when one of their
/// addresses cannot be reached. The last good answer stays while look-ups fail. Control thread
/// only.
class BackendNames {
public:
    /// What is known of one name.
    struct LookUp {
        std::vector<IpAddress> addresses;  ///< Of the last good answer, ascending.
        std::string error;                 ///< Of the last look-up; empty: it succeeded.
        std::optional<WallTime> at;        ///< Nothing: none has ended yet.
    };
    struct Listener {
        /// The addresses behind some name changed.
        std::function<void()> on_change;
        /// A look-up failed; `first`: the one before had not.
        std::function<void(const std::string& host, const LookUp&, bool first)> on_failure;
        /// The first one that succeeds after failed ones.
        std::function<void(const std::string& host, const LookUp&)> on_recovery;
    };
    BackendNames(net::EventLoop& loop, Listener listener)
        : loop_(loop), listener_(std::move(listener)), resolver_(loop) {}

    /// From now on these are the configurations (none of them null). What is known of a name stays;
    /// look_up_due() begins with the new ones.
    void watch(const std::vector<const config::Snapshot*>& snapshots);
    void look_up_due();
    /// Nobody answers at this address any more: looks up the names that led to it.
    void look_up_again(const IpAddress& unreachable);

    /// What is known of a watched name; of any other, nothing.
    const LookUp& find(const std::string& host) const;
    bool all_looked_up() const;

private:
    struct Name {
        LookUp known;
        bool under_way{false};
        Duration interval{5'000};
        MonotonicTime last;  ///< When the last look-up began.
        MonotonicTime next;
    };

    void ended(const std::string& host, net::Resolver::Result result);

    net::EventLoop& loop_;
    Listener listener_;
    net::Resolver resolver_;
    std::map<std::string, Name> names_;
    net::MemberTimer<BackendNames, &BackendNames::look_up_due> timer_{*this};
};

}  // namespace rproxy::control
