#pragma once

#include "backends/connection_pool.h"
#include "balancing/policy.h"
#include "base/clock.h"
#include "http/buffer.h"
#include "http/forwarding.h"
#include "http/framing.h"
#include "http/head.h"
#include "http/reason.h"
#include "http/target.h"
#include "http1/head_parser.h"
#include "proxy/flight_recorder.h"
#include "proxy/ids.h"
#include "proxy/ticket.h"
#include "proxy/worker_plan.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

/// What an Exchange knows, in pieces that are each forgotten as a whole: nothing of one request can
/// be left over for the next. Worker thread only.
namespace rproxy::proxy {

/// As it was made, in place: assigning a fresh one would write everything twice.
template <class T>
void renew(T& piece) {
    std::destroy_at(&piece);
    std::construct_at(&piece);
}

/// What the client asks. Views go into the buffer that the head was read into.
struct Request {
    MonotonicTime began;  ///< Its first byte; the epoch before.
    std::size_t head_size{0};
    http::RequestHead head;
    http::BodyFraming framing;
    http::Target target;
    http::ClientIdentity client;
    RequestIds ids;
    bool parsed{false};      ///< The above is valid.
    bool keep_alive{false};  ///< The client's connection may stay, as far as is known.
    bool upgrade{false};     ///< It asks to change protocols, and may.
    bool routed{false};      ///< `plan` and `pool` are valid.
    bool compared{false};    ///< It began while `plan` was compared with another.
    WorkerPlan::Ref plan;    ///< Pinned: all of the request runs on it.
    std::uint32_t pool{0};
    bool deadline_passed{false};  ///< The client did not move in time.
    std::optional<MonotonicTime> client_gone_since;

    /// The list of fields keeps its memory.
    void reset() {
        http::RequestHead kept = std::move(head);
        renew(*this);
        head = std::move(kept);
        head.clear();
    }
};

/// One try at one backend.
struct Attempt {
    std::uint32_t slot{0};
    Ticket ticket{};
    backends::Lease lease{};
    bool reused{false};  ///< `lease` served requests before.
    MonotonicTime began{};
    MonotonicTime progress{};  ///< When the request last moved towards the backend.
    bool request_sent{false};
    bool request_failed{false};   ///< The backend takes no more of it; its answer may still come.
    bool response_seen{false};    ///< A byte of it.
    http1::HeadScan scan{};       ///< Of the response's head.
    bool deadline_passed{false};  ///< The backend (or, before any, the queue) took too long.
    std::optional<AttemptResult> failed{};  ///< Once it is known to have.
};

/// A whole answer of a backend whose request is tried elsewhere; sent after all if nothing better
/// comes.
struct ParkedAnswer {
    http::Buffer text;
    std::uint16_t status{0};
    bool keep_alive{false};
};

/// What is known over all attempts.
struct Tries {
    balancing::Excluded excluded;
    std::uint32_t attempts{0};
    std::uint32_t retries{0};
    bool fresh_used{false};
    bool saw_full{false};
    bool fallback_used{false};
    std::chrono::nanoseconds backend_time{0};
    std::chrono::nanoseconds queued{0};
    std::optional<ParkedAnswer> parked;
    /// Who was asked last, for the log: the request may be in another pool by its end.
    const runtime::BackendPlan* backend{nullptr};
    WorkerPlan::Ref plan;  ///< That `backend` is of.
    AttemptNotes notes;
    std::uint8_t timers{0};  ///< Bits of FiredTimer.

    void fired(FiredTimer timer) { timers |= static_cast<std::uint8_t>(timer); }
};

/// What the client is told.
struct Answer {
    std::size_t head_size{0};
    http::ResponseHead head;  ///< The backend's; views go into the response's buffer.
    std::uint16_t status{0};
    http::Reason reason{http::Reason::None};  ///< Of an answer of our own.
    bool started{false};         ///< The client has seen (or is about to see) a byte of it.
    MonotonicTime at;            ///< When it started.
    bool interim_passed{false};  ///< A 1xx went to the client; the answer itself has not begun.
    bool backend_keeps_alive{false};
    bool close_delimited{false};
    bool reset_at_end{false};  ///< The close must not look like the answer's end.
    bool lingers{false};       ///< Of an answer of our own: the client may still be sending.

    /// The list of fields keeps its memory.
    void reset() {
        http::ResponseHead kept = std::move(head);
        renew(*this);
        head = std::move(kept);
        head.clear();
    }
};

/// Which directions of a tunnel have ended.
struct Tunnel {
    bool client_done{false};
    bool backend_done{false};
};

}  // namespace rproxy::proxy
