#pragma once

#include "backends/connection_pool.h"
#include "http/forwarding.h"
#include "http/reason.h"
#include "metrics/labels.h"
#include "net/event_loop.h"
#include "proxy/exchange_state.h"
#include "proxy/pump.h"
#include "proxy/request_reader.h"
#include "proxy/retry_policy.h"
#include "proxy/wait_queue.h"
#include "proxy/worker_plan.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

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

    explicit Exchange(Proxy& proxy);
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

    /// How a request ended, for its counters and its log line.
    struct Ending {
        std::uint16_t status;
        http::Reason reason;  ///< None: with a whole answer of a backend.
        MonotonicTime now;
    };
    enum class Blame : std::uint8_t { Backend, Nobody };

    // exchange.cpp: from the request's head to its route; whose deadline runs; own answers
    Step read_proxy_header();
    Step read_head();
    Step take_head(std::size_t size);
    Step route();
    const WorkerPlan::Ref& choose_plan() const;
    std::optional<std::uint32_t> find_pool(const WorkerPlan& plan) const;
    bool is_bound_to(const WorkerPlan& plan) const;
    Step refuse(const Refusal& refusal);
    Step reply(http::Reason reason);
    Step redirect_to_https();
    void append_location();
    bool came_by_https() const;
    void begin_answer();
    Step flush_reply();
    bool client_gone() const;
    void arm_timers();
    void arm_backend_timer(MonotonicTime now, bool client_must_send, bool client_must_read);

    // exchange_end.cpp
    Step finish(http::Reason reason);
    void count_request(const Ending& ending);
    void count_for_rollout(const Ending& ending) const;
    void log_request(const Ending& ending);
    void record_flight(const Ending& ending);
    Step next_after_finish(bool keep);
    static Blame blame(http::Reason reason);

    // exchange_attempt.cpp: choosing and reaching a backend
    Step choose_backend();
    void follow_plan();
    std::optional<std::uint32_t> admit(WorkerPool& pool);
    Step wait_in_queue(WorkerPool& pool);
    Step queued();
    void leave_queue();
    Step start_attempt(bool fresh);
    Step check_connected();
    void begin_request();
    AttemptFacts facts(AttemptFacts::Failure failure) const;
    Step attempt_failed(AttemptFacts::Failure failure);
    void report(AttemptFacts::Failure failure);
    Step give_up(AttemptFacts::Failure failure);
    void note_attempt(AttemptResult result);
    void end_attempt(Blame blame, bool reusable = false);
    Step no_backend(http::Reason reason);
    Step send_parked();

    // exchange_response.cpp: the bodies and the response
    Step exchange();
    Step pump_request();
    Step read_response_head();
    Step read_response_bytes(std::size_t most);
    Step no_response();
    Step take_response_head(std::size_t size);
    Step pass_interim();
    Step start_response();
    Step pump_response();
    Step broken_response(metrics::ResponseFailure failure);
    std::optional<AttemptFacts::Failure> retryable_status() const;
    void park_response();
    Step end_of_response();
    std::string_view new_cookie() const;
    http::ResponseEdits response_edits() const;
    void on_backend_timer();
    void on_connection_event(backends::Connection& connection) override;

    // exchange_tunnel.cpp: after a 101
    Step start_tunnel();
    Step pump_tunnel();

    Pump::End client_source();
    Pump::End client_sink();
    Pump::End backend_source() const;
    Pump::End backend_sink() const;
    WorkerPool& pool() const { return request_.plan->pools[request_.pool]; }
    const config::Pool& pool_config() const { return pool().plan->config; }

    Proxy& proxy_;
    Session* session_{nullptr};
    Stage stage_{Stage::ReadingHead};
    Next next_{Next::Wait};
    RequestReader reader_;
    Request request_;
    Attempt attempt_;
    Tries tries_;
    Answer answer_;
    Tunnel tunnel_;
    Waiter waiter_;
    Pump to_backend_;
    Pump to_client_;
    net::MemberTimer<Exchange, &Exchange::on_backend_timer> backend_timer_{*this};
};

}  // namespace rproxy::proxy
