#pragma once

#include "config/issue.h"
#include "config/snapshot.h"
#include "net/event_loop.h"
#include "runtime/plan.h"
#include "tls/material.h"
#include "tls/ticket_keys.h"

#include <expected>
#include <functional>
#include <memory>
#include <vector>

namespace rproxy::control {

/// Brings TLS into plans: reads the files, makes what listeners need of them, renews the keys of
/// session tickets. Control thread only.
class PlanTls {
public:
    /// `on_new_keys`: plans that were filled before have old ticket keys.
    PlanTls(net::EventLoop& loop, std::function<void()> on_new_keys)
        : loop_(loop), on_new_keys_(std::move(on_new_keys)) {}

    /// What the files of `snapshot` come to; what is the same in `running` is taken from there. A
    /// pair out of its dates is refused unless it runs already, or this is the first configuration:
    /// a start with it is better than none.
    std::expected<tls::Material, std::vector<config::Issue>> load(const config::Snapshot& snapshot,
                                                                  const tls::Material& running,
                                                                  bool is_first) const;
    /// Gives the listeners and pools of `plan`, which are those of its snapshot, what `material`
    /// has for them.
    void fill(runtime::Plan& plan, const tls::Material& material);

private:
    void renew_ticket_keys();

    net::EventLoop& loop_;
    std::function<void()> on_new_keys_;
    std::shared_ptr<const tls::TicketKeys> ticket_keys_;  // null until something speaks TLS
    net::MemberTimer<PlanTls, &PlanTls::renew_ticket_keys> ticket_timer_{*this};
};

}  // namespace rproxy::control
