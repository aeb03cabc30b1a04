#include "http1/proxy_header.h"
#include "proxy/exchange.h"
#include "proxy/proxy.h"
#include "proxy/session.h"

#include <algorithm>

namespace rproxy::proxy {

Exchange::Step Exchange::read_proxy_header() {
    auto& buffer = request_.buffer();
    while (true) {
        const auto header = http1::parse_proxy_header(buffer.view());
        if (header && *header) {
            const auto& source = (*header)->source;
            session_->take_proxy_header(source ? std::optional(net::Peer{source->ip, source->port})
                                               : std::nullopt);
            buffer.consume((*header)->size);
            stage_ = Stage::ReadingHead;
            return Step::Continue;
        }
        if (!header || client_deadline_passed_) {
            session_->count_bad_proxy_header();
            return finish(http::Reason::ClientClosed);
        }
        // A balancer's TCP check comes and goes without a word; half a header is an error.
        const bool partial = !buffer.empty();
        const Step step = read_head_bytes(http1::kLargestProxyHeader);
        if (step == Step::Finished && partial) {
            session_->count_bad_proxy_header();
        }
        if (step != Step::Continue) {
            return step;
        }
    }
}

http1::HeadLimits Exchange::request_limits() const {
    const auto& limits = proxy_.settings().limits;
    return {static_cast<std::size_t>(limits.header_bytes.bytes), limits.header_count,
            static_cast<std::size_t>(limits.request_line.bytes)};
}

Exchange::Step Exchange::read_head() {
    auto& buffer = request_.buffer();
    while (true) {
        if (const auto empty = http1::leading_empty_lines(buffer.view());
            scan_.line_start == 0 && empty != 0) {
            buffer.consume(empty);
            buffer.compact();
            scan_ = {};
        }
        if (!buffer.empty() && began_ == MonotonicTime{}) {
            // The first byte, be it read now or together with the request before.
            began_ = proxy_.loop().now();
            session_->arm(began_ + proxy_.timeouts().client_header);
        }
        const auto end = http1::find_head_end(buffer.view(), request_limits(), scan_);
        if (!end) {
            return refuse_head(end.error());
        }
        if (*end) {
            return parse_head(**end);
        }
        if (client_deadline_passed_) {
            return buffer.empty() ? finish(http::Reason::ClientClosed)
                                  : reply(http::Reason::ClientTimeout);
        }
        const Step step = read_head_bytes(request_limits().header_bytes + 1);
        if (step != Step::Continue) {
            return step;
        }
    }
}

/// Into a buffer that may grow to `most` bytes. Continue: there is more to look at.
Exchange::Step Exchange::read_head_bytes(std::size_t most) {
    auto& buffer = request_.buffer();
    if (!session_->readable) {
        return Step::Wait;
    }
    if (buffer.space().empty()) {
        buffer.reserve(std::min(buffer.capacity() * 2, most));
    }
    const auto space = buffer.space();
    const auto result = session_->stream().read(space);
    if (result.status == net::IoResult::Status::WouldBlock) {
        session_->readable = false;
        return Step::Wait;
    }
    if (result.status != net::IoResult::Status::Ok) {
        return finish(http::Reason::ClientClosed);
    }
    session_->readable = result.bytes == space.size() || session_->peer_closed;
    buffer.commit(result.bytes);
    request_.count_read(result.bytes);
    return Step::Continue;
}

Exchange::Step Exchange::refuse_head(http1::HeadError error) {
    switch (error) {
        case http1::HeadError::LineTooLong:
            return refuse(metrics::RequestRejection::HeaderLimit, http::Reason::UriTooLong);
        case http1::HeadError::TooLarge:
        case http1::HeadError::TooManyFields:
            return refuse(metrics::RequestRejection::HeaderLimit, http::Reason::HeadersTooLarge);
        case http1::HeadError::BadFraming:
            return refuse(metrics::RequestRejection::Smuggling, http::Reason::BadRequest);
        case http1::HeadError::BadSyntax:
        case http1::HeadError::BadVersion:
            break;
    }
    return refuse(metrics::RequestRejection::Malformed, http::Reason::BadRequest);
}

}  // namespace rproxy::proxy
