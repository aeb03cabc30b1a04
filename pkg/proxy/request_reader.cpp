#include "proxy/request_reader.h"

#include "http1/proxy_header.h"
#include "proxy/proxy.h"
#include "proxy/session.h"

#include <algorithm>

namespace rproxy::proxy {

RequestReader::Outcome RequestReader::read_proxy_header(Session& session, Pump& to_backend,
                                                        bool deadline_passed) const {
    auto& buffer = to_backend.buffer();
    while (true) {
        const auto header = http1::parse_proxy_header(buffer.view());
        if (header && *header) {
            const auto& source = (*header)->source;
            session.take_proxy_header(source ? std::optional(net::Peer{source->ip, source->port})
                                             : std::nullopt);
            buffer.consume((*header)->size);
            return {Status::Taken};
        }
        if (!header || deadline_passed) {
            session.count_bad_proxy_header();
            return {Status::Closed};
        }
        // A balancer's TCP check comes and goes without a word; half a header is an error.
        const bool partial = !buffer.empty();
        const Status status = read_bytes(session, to_backend, http1::kLargestProxyHeader);
        if (status == Status::Closed && partial) {
            session.count_bad_proxy_header();
        }
        if (status != Status::Taken) {
            return {status};
        }
    }
}

RequestReader::Outcome RequestReader::read_head(Session& session, Pump& to_backend,
                                                Request& request) {
    auto& buffer = to_backend.buffer();
    const auto& limits = proxy_.request_limits();
    while (true) {
        if (const auto empty = http1::leading_empty_lines(buffer.view());
            scan_.line_start == 0 && empty != 0) {
            buffer.consume(empty);
            buffer.compact();
            scan_ = {};
        }
        if (!buffer.empty() && request.began == MonotonicTime{}) {
            // The first byte, be it read now or together with the request before.
            request.began = proxy_.loop().now();
            session.arm(request.began + proxy_.timeouts().client_header);
        }
        const auto end = http1::find_head_end(buffer.view(), limits, scan_);
        if (!end) {
            return {Status::Refused, 0, end.error()};
        }
        if (*end) {
            return {Status::Taken, **end};
        }
        if (request.deadline_passed) {
            return {buffer.empty() ? Status::Closed : Status::TimedOut};
        }
        const Status status = read_bytes(session, to_backend, limits.header_bytes + 1);
        if (status != Status::Taken) {
            return {status};
        }
    }
}

/// Into a buffer that may grow to `most` bytes. Taken: there is more to look at.
RequestReader::Status RequestReader::read_bytes(Session& session, Pump& to_backend,
                                                std::size_t most) {
    auto& buffer = to_backend.buffer();
    if (!session.readable) {
        return Status::Wait;
    }
    if (buffer.space().empty()) {
        buffer.reserve(std::min(buffer.capacity() * 2, most));
    }
    const auto space = buffer.space();
    const auto result = session.stream().read(space);
    if (result.status == net::IoResult::Status::WouldBlock) {
        session.readable = false;
        return Status::Wait;
    }
    if (result.status != net::IoResult::Status::Ok) {
        return Status::Closed;
    }
    session.readable = result.more || session.peer_closed;
    buffer.commit(result.bytes);
    to_backend.count_read(result.bytes);
    return Status::Taken;
}

std::expected<void, http1::HeadError> parse_request(std::string_view head,
                                                    const http1::HeadLimits& limits,
                                                    Request& request) {
    request.head_size = head.size();
    const auto parsed = http1::parse_request_head(head, limits, request.head);
    if (!parsed) {
        return parsed;
    }
    const auto framing = http::request_framing(request.head);
    if (!framing) {
        return std::unexpected{http1::HeadError::BadFraming};
    }
    const auto target = http::parse_target(request.head);
    if (!target) {
        return std::unexpected{http1::HeadError::BadSyntax};
    }
    request.framing = *framing;
    request.target = *target;
    request.keep_alive = http::keeps_alive(request.head.version, request.head.fields);
    // An upgrade whose request has a body would have to wait for its end; nobody does that.
    request.upgrade =
        framing->kind == http::BodyFraming::Kind::None && http::wants_upgrade(request.head);
    request.parsed = true;
    return {};
}

Refusal refusal(http1::HeadError error) {
    switch (error) {
        case http1::HeadError::LineTooLong:
            return {metrics::RequestRejection::HeaderLimit, http::Reason::UriTooLong};
        case http1::HeadError::TooLarge:
        case http1::HeadError::TooManyFields:
            return {metrics::RequestRejection::HeaderLimit, http::Reason::HeadersTooLarge};
        case http1::HeadError::BadFraming:
            return {metrics::RequestRejection::Smuggling, http::Reason::BadRequest};
        case http1::HeadError::BadSyntax:
        case http1::HeadError::BadVersion:
            break;
    }
    return {metrics::RequestRejection::Malformed, http::Reason::BadRequest};
}

}  // namespace rproxy::proxy
