#pragma once

#include "backends/health_tracker.h"
#include "config/snapshot.h"
#include "net/event_loop.h"
#include "net/socket.h"
#include "net/stream.h"
#include "tls/client_context.h"
#include "tls/io.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace rproxy::backends {

/// One active check of one backend: a connection that opens, with TLS where the pool has it, or an
/// HTTP request over it whose status is judged. A connection of its own each time, so that a
/// backend that no longer accepts is found out. Control thread; destroyed, it gives up without a
/// result.
class Probe final : public net::EventHandler {
public:
    using Done = std::move_only_function<void(HealthTracker::ProbeResult)>;

    /// How the backend is spoken to; a null context: in plain. What is referred to outlives the
    /// probe.
    struct Security {
        std::shared_ptr<const tls::ClientContext> context;
        std::string host;
        tls::Io& io;
        tls::SessionCache& sessions;
    };

    Probe(net::EventLoop& loop, const net::SocketAddress& address, const config::HealthCheck& check,
          std::string host, Security security);
    ~Probe();
    Probe(const Probe&) = delete;
    Probe& operator=(const Probe&) = delete;

    /// Calls `done` exactly once, never before returning; the Probe may be destroyed in it.
    void start(Done done);

private:
    enum class Stage : std::uint8_t { Connecting, Handshaking, Sending, Reading };

    void on_event(std::uint32_t events) override;
    void on_timer();
    void go_on();
    bool connected();
    bool shook_hands();
    void send_request();
    void read_status();
    bool status_expected(unsigned status) const;
    void pass(std::string detail);
    void fail(FailureReason reason, std::string detail);
    void finish(HealthTracker::ProbeResult result);

    net::EventLoop& loop_;
    const net::SocketAddress address_;
    const config::HealthCheck check_;
    const std::string host_;
    const Security security_;
    net::Stream stream_;
    Stage stage_{Stage::Connecting};
    std::string request_;
    std::string answer_;
    std::optional<HealthTracker::ProbeResult> early_;  // known before the loop was entered
    Done done_;
    net::MemberTimer<Probe, &Probe::on_timer> timer_{*this};
};

}  // namespace rproxy::backends
