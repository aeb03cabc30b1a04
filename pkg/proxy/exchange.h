#pragma once

#include "backends/connection_pool.h"
#include "balancing/policy.h"
#include "http/forwarding.h"
#include "http/framing.h"
#include "http/head.h"
#include "http/reason.h"
#include "http/target.h"
#include "http1/head_parser.h"
#include "net/event_loop.h"
#include "proxy/ids.h"
#include "proxy/pump.h"
#include "proxy/retry_policy.h"
#include "proxy/ticket.h"
#include "proxy/worker_plan.h"

#include <cstdint>
#include <memory>
#include <optional>

namespace rproxy::proxy {

class Proxy;
class Session;

/// One request with its response over all attempts: reads the head, chooses route and backend,
/// pumps the bodies both ways, and ends, whatever happens, in finish(). Owned by its Session while
/// a request is about, by the Proxy's stock otherwise (with its buffers). Worker thread only.
///
/// Life: (ReadingProxyHeader →) ReadingHead → (Queued) → Connecting → Exchanging → finish(), with
/// attempts going back to Connecting, an own answer going over Replying, and a 101 over Tunnel.
class Exchange final : public backends::ConnectionUser {
public:
    enum class Next : std::uint8_t {
        Wait,         ///< For an event, in the midst of a request.
        Idle,         ///< No byte of a request is there.
        NextRequest,  ///< Finished; the connection stays.
        Close,        ///< Finished; close it.
        Linger,       ///< Finished; close it, but the client may still be sending.
    };

    explicit Exchange(Proxy& proxy) : proxy_(proxy) {}
    ~Exchange() = default;
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;

    void attach(Session& session);
    /// Goes on as far as possible without waiting.
    Next advance();
    /// The session's deadline passed.
    void on_client_deadline();
    /// The session is closing: ends a running request as the client's doing.
    void cancel();
    /// Bytes of a next request were read already.
    bool has_input();
    /// For the stock: no session, no request, buffers kept up to their configured size.
    void detach();

private:
    friend class Proxy;
    enum class Stage : std::uint8_t {
        ReadingProxyHeader,
        ReadingHead,
        Queued,
        Connecting,
        Exchanging,
        Tunnel,
        Replying
    };
    enum class Step : std::uint8_t { Continue, Wait, Finished };

    // exchange.cpp: the request's head and its end
    Step read_proxy_header();
    Step read_head();
    Step read_head_bytes(std::size_t most);
    http1::HeadLimits request_limits() const;
    Step parse_head(std::size_t size);
    Step route();
    Step refuse_head(http1::HeadError error);
    Step refuse(metrics::RequestRejection kind, http::Reason reason);
    Step reply(http::Reason reason);
    Step flush_reply();
    Step finish(http::Reason reason);
    void count_request(http::Reason reason, MonotonicTime now);
    void log_request(http::Reason reason, MonotonicTime now);
    Step next_after_finish(bool keep);
    bool client_gone() const;

    // exchange_attempt.cpp: choosing and reaching a backend
    Step choose_backend();
    std::optional<std::uint32_t> pick(WorkerPool& pool);
    std::optional<std::uint32_t> pinned_slot(const WorkerPool& pool);
    std::optional<std::uint32_t> admit(WorkerPool& pool);
    Step wait_in_queue(WorkerPool& pool);
    Step queued();
    void leave_queue();
    Step start_attempt(bool fresh);
    Step check_connected();
    void begin_request();
    AttemptFacts facts(AttemptFacts::Failure failure);
    Step attempt_failed(AttemptFacts::Failure failure);
    void report(AttemptFacts::Failure failure);
    Step give_up(AttemptFacts::Failure failure);
    enum class Blame : std::uint8_t { Backend, Nobody };
    static Blame blame(http::Reason reason);
    void end_attempt(Blame blame, bool reusable = false);
    Step no_backend(http::Reason reason);
    Step send_parked();
    bool other_backend_left();
    std::uint64_t hash_key() const;
    std::string_view new_cookie();

    // exchange_response.cpp: the bodies and the response
    Step exchange();
    Step pump_request();
    Step read_response_head();
    Step read_response_bytes(std::size_t most);
    Step no_response();
    Step take_response_head(std::size_t size);
    Step pass_interim();
    Step start_tunnel();
    Step pump_tunnel();
    Step start_response();
    Step pump_response();
    Step broken_response(metrics::ResponseFailure failure);
    std::optional<AttemptFacts::Failure> retryable_status() const;
    void park_response();
    Step end_of_response();
    void on_backend_timer();
    void arm_timers();
    void arm_backend_timer(MonotonicTime now, bool client_must_send, bool client_must_read);
    void on_connection_event(backends::Connection& connection) override;

    Pump::End client_source();
    Pump::End client_sink();
    Pump::End backend_source();
    Pump::End backend_sink();
    WorkerPool& pool() { return plan_->pools[pool_index_]; }
    const config::Pool& pool_config() { return plan_->pools[pool_index_].plan->config; }

    Proxy& proxy_;
    Session* session_{nullptr};
    Stage stage_{Stage::ReadingHead};
    Next next_{Next::Wait};

    // The request.
    WorkerPlan::Ref plan_;
    std::uint32_t pool_index_{0};
    bool routed_{false};
    http1::HeadScan scan_;
    std::size_t head_size_{0};
    http::RequestHead head_;
    http::BodyFraming framing_;
    http::Target target_;
    http::ClientIdentity client_;
    RequestIds ids_;
    Pump request_;
    MonotonicTime began_;
    bool head_parsed_{false};
    bool keep_alive_{false};
    bool request_sent_{false};
    bool request_failed_{false};  // the backend takes no more of it; its answer may still come

    // The present attempt.
    std::uint32_t slot_{0};
    Ticket ticket_;
    backends::Lease lease_;
    MonotonicTime attempt_began_;
    MonotonicTime request_progress_;
    bool connecting_{false};
    bool response_seen_{false};
    bool reused_{false};

    // Over all attempts.
    balancing::Excluded excluded_;
    std::uint32_t attempts_{0};
    std::uint32_t retries_{0};
    bool fresh_used_{false};
    bool saw_full_{false};
    bool fallback_used_{false};
    std::chrono::nanoseconds backend_time_{0};
    // A 502, 503 or 504 whose request is tried elsewhere; sent after all if nothing better comes.
    std::optional<http::Buffer> parked_;
    std::uint16_t parked_status_{0};
    bool parked_keeps_{false};

    // The response.
    http1::HeadScan response_scan_;
    std::size_t response_head_size_{0};
    http::ResponseHead response_head_;
    Pump response_{false};
    std::uint16_t status_{0};
    bool response_started_{false};  // the client has seen (or is about to see) a byte of it
    bool interim_passed_{false};    // a 1xx went to the client; the answer itself has not begun
    bool response_keeps_alive_{false};
    bool close_delimited_{false};
    bool reset_at_end_{false};
    bool upgrade_{false};
    bool tunnel_client_done_{false};
    bool tunnel_backend_done_{false};
    http::Reason reply_reason_{http::Reason::None};
    bool reply_lingers_{false};

    bool client_deadline_passed_{false};
    bool backend_deadline_passed_{false};
    MonotonicTime client_gone_since_;
    bool client_gone_noted_{false};
    net::MemberTimer<Exchange, &Exchange::on_backend_timer> backend_timer_{*this};
    Exchange* next_waiting_{nullptr};
    Exchange* previous_waiting_{nullptr};
    bool queue_slot_free_{false};
    MonotonicTime queued_at_;
};

}  // namespace rproxy::proxy
