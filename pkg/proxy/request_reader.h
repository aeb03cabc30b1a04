#pragma once

#include "http/reason.h"
#include "http1/head_parser.h"
#include "metrics/labels.h"
#include "proxy/exchange_state.h"
#include "proxy/pump.h"

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string_view>

namespace rproxy::proxy {

class Proxy;
class Session;

/// Reads what stands before a request's body: the PROXY header that a connection may begin with,
/// and each request's head, within the limits and the deadlines. Answers nothing and decides
/// nothing about what it read: it says what became of it. Worker thread only.
class RequestReader {
public:
    enum class Status : std::uint8_t {
        Wait,      ///< For more bytes, or the deadline.
        Taken,     ///< It is there as a whole.
        Closed,    ///< The client went, or never began: nobody to answer.
        TimedOut,  ///< A part of a head came, the rest not in time.
        Refused,   ///< A head against the rules: `error`.
    };
    struct Outcome {
        Status status;
        std::size_t size{0};       ///< Of a head that was Taken.
        http1::HeadError error{};  ///< Why it was Refused.
    };

    /// `proxy` outlives it.
    explicit RequestReader(Proxy& proxy) : proxy_(proxy) {}

    /// The PROXY header: Taken when the session has been told whom it names; Closed if what came is
    /// none, which is counted.
    Outcome read_proxy_header(Session& session, Pump& to_backend, bool deadline_passed) const;
    /// A request's head, to the start of the pump's buffer. Sets `request.began` and the deadline
    /// with its first byte.
    Outcome read_head(Session& session, Pump& to_backend, Request& request);
    /// For the next head.
    void reset() { scan_ = {}; }

private:
    static Status read_bytes(Session& session, Pump& to_backend, std::size_t most);

    Proxy& proxy_;
    http1::HeadScan scan_;
};

/// What is asked in `head`, a whole head: fields, framing and target, each by its rules. On failure
/// `request` holds nothing of use.
std::expected<void, http1::HeadError> parse_request(std::string_view head,
                                                    const http1::HeadLimits& limits,
                                                    Request& request);

/// How a head that is refused is counted and answered.
struct Refusal {
    metrics::RequestRejection kind;
    http::Reason reason;
};
Refusal refusal(http1::HeadError error);

}  // namespace rproxy::proxy
