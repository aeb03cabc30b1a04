#pragma once

#include "base/rng.h"

#include <array>
#include <string_view>

namespace rproxy::proxy {

/// The identifiers that a request carries through: passed on if the client sent good ones, else
/// made here. Without allocation.
class RequestIds {
public:
    /// `request_id` and `traceparent` are what the client sent, or empty. A request id is taken if
    /// it is 1 to 128 visible ASCII characters; a traceparent if it is well formed (W3C Trace
    /// Context §3.2.2). Passed ones stay views: they must outlive this object's use.
    void set(std::string_view request_id, std::string_view traceparent, Rng& rng);

    std::string_view request_id() const { return request_id_; }
    std::string_view traceparent() const { return traceparent_; }
    /// The 32 hexadecimal digits of the trace in traceparent().
    std::string_view trace_id() const { return traceparent_.substr(3, 32); }

private:
    // Left as they are until set() writes them.
    std::array<char, 32> made_id_;
    std::array<char, 55> made_parent_;
    std::string_view request_id_;
    std::string_view traceparent_;
};

}  // namespace rproxy::proxy
