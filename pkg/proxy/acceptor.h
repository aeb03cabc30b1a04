#pragma once

#include "net/event_loop.h"
#include "net/socket.h"
#include "runtime/plan.h"

#include <cstdint>
#include <memory>

namespace rproxy::proxy {

class Proxy;

/// One worker's listening socket. Worker thread only.
class Acceptor final : public net::EventHandler {
public:
    Acceptor(Proxy& proxy, net::Fd fd, const runtime::ListenerPlan& plan);
    ~Acceptor();
    Acceptor(const Acceptor&) = delete;
    Acceptor& operator=(const Acceptor&) = delete;

    /// Takes every waiting client. With SO_REUSEPORT each worker has a queue of its own, so what
    /// waits in this one would be reset by closing it.
    void accept_waiting();
    /// Clients from now on are served as `plan` says, which is of the same address.
    void update(const runtime::ListenerPlan& plan);

private:
    void on_event(std::uint32_t events) override;
    void on_timer() { accept_waiting(); }

    Proxy& proxy_;
    net::Fd fd_;
    std::shared_ptr<runtime::ListenerState> state_;
    std::uint16_t port_;
    bool proxy_protocol_;
    std::uint32_t backlog_;
    std::shared_ptr<const runtime::ListenerRules> rules_;
    net::MemberTimer<Acceptor, &Acceptor::on_timer> retry_{*this};
};

}  // namespace rproxy::proxy
