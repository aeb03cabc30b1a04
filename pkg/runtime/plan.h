#pragma once

#include "backends/backend.h"
#include "backends/pool_state.h"
#include "balancing/policy.h"
#include "config/snapshot.h"
#include "metrics/cell.h"
#include "metrics/labels.h"
#include "routing/route_table.h"
#include "runtime/sticky_cookies.h"
#include "tls/client_context.h"
#include "tls/server_context.h"
#include "tls/ticket_keys.h"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace rproxy::runtime {

/// What one worker counts of one listener.
struct alignas(64) ListenerCells {
    metrics::Gauge connections_active;
    metrics::Counter connections_total;
    metrics::CounterSet<metrics::ListenerRejection> connections_rejected;
    metrics::Gauge requests_active;
    metrics::CounterSet<metrics::HandshakeResult> handshakes;
    /// Successful ones, by version (metrics::kTlsVersionNames).
    std::array<metrics::CounterSet<metrics::HandshakeKind>, 2> handshakes_by_version;
};

/// A listener over all workers and reloads, by its address.
struct ListenerState {
    ListenerState(std::string listener_name, std::size_t workers)
        : name(std::move(listener_name)), cells(workers) {}
    const std::string name;
    std::atomic<std::uint32_t> connections{0};  ///< Open, over all workers: for limits.connections.
    std::atomic<std::uint32_t> handshakes{0};   ///< In progress, over all workers.
    std::vector<ListenerCells> cells;
};

/// What a connection has of a listener that is more than plain HTTP. Immutable; a connection keeps
/// the one that it began with.
struct ListenerRules {
    std::shared_ptr<const tls::ServerContext> tls;  ///< Null: plain.
    config::Handshake handshake;
    std::string hsts;           ///< The value of Strict-Transport-Security; empty: none.
    std::string subject_field;  ///< Where backends read who the client is; empty: nowhere.
    std::optional<config::HttpsRedirect> https_redirect;
};

struct ListenerPlan {
    config::Listener config;
    std::uint16_t port{0};  ///< The one bound, where the configuration says 0.
    std::shared_ptr<ListenerState> state;
    std::shared_ptr<const ListenerRules> rules;  ///< Null: plain HTTP and nothing else.
};

/// One backend of a pool as the configuration has it, at its slot.
struct BackendPlan {
    std::shared_ptr<backends::Backend> backend;
    std::string name;     ///< The metrics' label.
    std::string address;  ///< As configured: a name stays a name.
    std::string host;     ///< Of it, without the port: whom TLS asks for.
    std::uint32_t weight{1};
    std::uint32_t max_connections{0};
    config::AdminState admin_state{config::AdminState::Up};
    /// In a plan on trial: the running configuration has it too, so what fails here says as much
    /// about the plan as about the backend and must not take it from everybody.
    bool shared{false};
};

struct PoolPlan {
    config::Pool config;
    std::shared_ptr<backends::PoolState> state;
    std::vector<BackendPlan> backends;  ///< Names resolved: each address its own.
    /// Names without an address so far: shown and counted, never chosen. Their backends have no
    /// socket address.
    std::vector<BackendPlan> unresolved;
    std::optional<std::uint32_t> fallback;  ///< Of when_all_down: {pool}, by index.
    std::optional<StickyCookies> sticky;
    std::shared_ptr<const tls::ClientContext> tls;  ///< Null: in plain.
};

/// A Snapshot compiled for the request path: names resolved to indexes, states looked up.
/// Immutable; every request works on the one it began with. `generation` counts accepted
/// configurations, `revision` also the plans made because a name's addresses changed.
struct Plan {
    std::shared_ptr<const config::Snapshot> snapshot;  ///< Never null.
    std::uint64_t generation{0};  ///< 0: none was accepted yet; everything gets 503 `no_config`.
    std::uint64_t revision{0};
    std::vector<ListenerPlan> listeners;
    /// While this plan is on trial: what it does not have of the one it may yet give way to. Stays
    /// open until it is promoted.
    std::vector<ListenerPlan> leaving;
    std::vector<PoolPlan> pools;
    routing::RouteTable routes;
    /// Fields that only we may write: `client_subject_header` of all listeners.
    std::vector<std::string> certificate_fields;
    std::shared_ptr<const tls::TicketKeys> ticket_keys;  ///< Null: nothing speaks TLS.
};

/// How a pool chooses at present; made by the control thread whenever health, weights or membership
/// change. For the Plan with the same revision only.
struct PoolPolicy {
    std::unique_ptr<const balancing::Policy> policy;
    /// Nothing is healthy and the policy offers the unhealthy ones (when_all_down: try_anyway).
    bool fail_open{false};
    /// Nothing is healthy, whatever when_all_down says.
    bool all_down{false};
};

}  // namespace rproxy::runtime
