#include "proxy/exchange.h"

#include "base/strings.h"
#include "proxy/proxy.h"
#include "proxy/session.h"
#include "proxy/stickiness.h"

#include <algorithm>

namespace rproxy::proxy {

namespace {

/// A client that half-closes may still want its answer (`printf … | nc`); one that is gone looks
/// the same until we write. So a request whose client closed its side has this long to be answered
/// before it is cancelled.
constexpr std::chrono::seconds kHalfCloseGrace{1};

}  // namespace

Exchange::Exchange(Proxy& proxy)
    : proxy_(proxy),
      reader_(proxy),
      to_backend_(true, &proxy.large_buffers()),
      to_client_(false, &proxy.large_buffers()) {}

void Exchange::attach(Session& session) {
    session_ = &session;
    stage_ = session.awaits_proxy_header() ? Stage::ReadingProxyHeader : Stage::ReadingHead;
    to_backend_.buffer().reserve(proxy_.buffer_capacity());
}

bool Exchange::has_input() {
    return !to_backend_.buffer().empty();
}

void Exchange::detach() {
    session_ = nullptr;
    const std::size_t keep = proxy_.buffer_capacity();
    to_backend_.reset(keep);
    to_client_.reset(keep);
}

Exchange::Next Exchange::advance() {
    while (true) {
        Step step = Step::Wait;
        switch (stage_) {
            case Stage::ReadingProxyHeader:
                step = read_proxy_header();
                break;
            case Stage::ReadingHead:
                step = read_head();
                break;
            case Stage::Queued:
                step = client_gone() ? finish(http::Reason::ClientClosed) : queued();
                break;
            case Stage::Connecting:
                step = client_gone() ? finish(http::Reason::ClientClosed) : check_connected();
                break;
            case Stage::Exchanging:
                step = exchange();
                break;
            case Stage::Tunnel:
                step = pump_tunnel();
                break;
            case Stage::Replying:
                step = flush_reply();
                break;
        }
        if (step == Step::Finished) {
            return next_;
        }
        if (step == Step::Wait) {
            arm_timers();
            return stage_ == Stage::ReadingHead && to_backend_.buffer().empty() ? Next::Idle
                                                                                : Next::Wait;
        }
    }
}

/// Refuses a request for what it is itself, before or instead of passing it on.
Exchange::Step Exchange::refuse(const Refusal& refusal) {
    proxy_.cells().rejected[refusal.kind].add();
    return reply(refusal.reason);
}

Exchange::Step Exchange::read_proxy_header() {
    const auto read = reader_.read_proxy_header(*session_, to_backend_, request_.deadline_passed);
    switch (read.status) {
        case RequestReader::Status::Wait:
            return Step::Wait;
        case RequestReader::Status::Taken:
            stage_ = Stage::ReadingHead;
            return Step::Continue;
        default:
            return finish(http::Reason::ClientClosed);
    }
}

Exchange::Step Exchange::read_head() {
    const auto read = reader_.read_head(*session_, to_backend_, request_);
    switch (read.status) {
        case RequestReader::Status::Wait:
            return Step::Wait;
        case RequestReader::Status::Taken:
            return take_head(read.size);
        case RequestReader::Status::TimedOut:
            return reply(http::Reason::ClientTimeout);
        case RequestReader::Status::Refused:
            return refuse(refusal(read.error));
        case RequestReader::Status::Closed:
            break;
    }
    return finish(http::Reason::ClientClosed);
}

Exchange::Step Exchange::take_head(std::size_t size) {
    session_->disarm();
    // Before the views are taken: a large head must leave room for the body behind it.
    proxy_.make_body_room(to_backend_.buffer(), size);
    const auto parsed = parse_request(to_backend_.buffer().view().substr(0, size),
                                      proxy_.request_limits(), request_);
    if (!parsed) {
        return refuse(refusal(parsed.error()));
    }
    to_backend_.start(request_.framing, request_.head_size,
                      request_.framing.kind == http::BodyFraming::Kind::Chunked);
    to_backend_.set_limit(proxy_.settings().limits.body_bytes.bytes);
    session_->listener().cells[proxy_.worker()].requests_active.add();
    proxy_.cells().exchanges.add();
    proxy_.cells().requests_total.add();
    const http::Field* const id = request_.head.find(http::FieldId::XRequestId);
    const http::Field* const parent = request_.head.find(http::FieldId::Traceparent);
    request_.ids.set(id == nullptr ? std::string_view{} : id->value,
                     parent == nullptr ? std::string_view{} : parent->value, proxy_.rng());
    return route();
}

/// Chance decides the side of a rollout, but not between two requests of a session: it goes where
/// its cookie names a backend, if that is one side only.
const WorkerPlan::Ref& Exchange::choose_plan() const {
    const auto& drawn = proxy_.choose_plan();
    if (!proxy_.compares() || is_bound_to(*drawn)) {
        return drawn;
    }
    const auto& other = proxy_.other_plan(drawn);
    return is_bound_to(*other) ? other : drawn;
}

std::optional<std::uint32_t> Exchange::find_pool(const WorkerPlan& plan) const {
    const auto& routes = plan.plan->routes;
    // OPTIONS * asks about the server as a whole: whoever serves its root.
    const std::string_view path = request_.target.path == "*" ? "/" : request_.target.path;
    return http::needs_normalizing(path)
               ? routes.find(request_.target.host, http::normalized_path(path))
               : routes.find(request_.target.host, path);
}

bool Exchange::is_bound_to(const WorkerPlan& plan) const {
    const auto found = find_pool(plan);
    const auto* const pool = found ? plan.pools[*found].plan : nullptr;
    return pool != nullptr && pool->sticky && names_backend(*pool->sticky, request_.head.fields);
}

Exchange::Step Exchange::route() {
    const auto& settings = proxy_.settings();
    request_.client =
        http::identify_client(session_->peer().ip, settings.trusted_proxies, request_.head.fields);
    const auto& plan = choose_plan();
    if (!plan || plan->plan->generation == 0) {
        return reply(http::Reason::NoConfig);
    }
    request_.plan = plan;
    request_.compared = proxy_.compares() && plan->side_cells != nullptr;
    if (request_.compared) {
        plan->side_cells->begun.add();
    }
    to_backend_.hold_back(plan->plan->certificate_fields);
    if (settings.limits.body_bytes.bytes != 0 &&
        request_.framing.length > settings.limits.body_bytes.bytes) {
        return refuse({metrics::RequestRejection::TooLarge, http::Reason::BodyTooLarge});
    }
    if (session_->rules() != nullptr && session_->rules()->https_redirect && !came_by_https()) {
        return redirect_to_https();
    }
    const auto pool = find_pool(*request_.plan);
    if (!pool) {
        return reply(http::Reason::NoRoute);
    }
    request_.pool = *pool;
    request_.routed = true;
    this->pool().budget->on_request(pool_config().retry.budget.fraction);
    return choose_backend();
}

bool Exchange::client_gone() const {
    if (session_->reset) {
        return true;
    }
    // Once the answer has begun, writing it tells whether anybody is there.
    return !answer_.started && request_.client_gone_since &&
           proxy_.loop().now() >= *request_.client_gone_since + kHalfCloseGrace;
}

void Exchange::on_client_deadline() {
    request_.deadline_passed = true;
}

void Exchange::arm_timers() {
    const auto now = proxy_.loop().now();
    const auto& timeouts = proxy_.timeouts();
    if (stage_ == Stage::ReadingProxyHeader || stage_ == Stage::ReadingHead) {
        return;  // set with the first byte; an idle connection's by the session
    }
    if (stage_ == Stage::Tunnel) {
        session_->arm(now + timeouts.tunnel_idle);
        return;
    }
    // Whoever must move next is whose deadline runs: a slow client is not the backend's fault, and
    // a backend that does not read is not the client's.
    const bool client_must_send = stage_ == Stage::Exchanging && !to_backend_.source_complete() &&
                                  !attempt_.request_failed && to_backend_.out().empty();
    const bool client_must_read = !to_client_.out().empty();
    if (client_must_send || client_must_read) {
        session_->arm(now + timeouts.client_body);
    } else if (session_->peer_closed && !answer_.started) {
        if (!request_.client_gone_since) {
            request_.client_gone_since = now;
        }
        session_->arm(*request_.client_gone_since + kHalfCloseGrace);
    } else {
        session_->disarm();
    }
    if (stage_ == Stage::Exchanging) {
        arm_backend_timer(now, client_must_send, client_must_read);
    }
}

void Exchange::arm_backend_timer(MonotonicTime now, bool client_must_send, bool client_must_read) {
    const auto& timeouts = pool_config().timeouts;
    if (answer_.started) {
        if (client_must_read) {
            proxy_.loop().cancel(backend_timer_);
        } else {
            // A pause within a body. A short `idle` is there to beat the backend's keep-alive and
            // must not cut answers that take a breath.
            proxy_.loop().arm(backend_timer_, now + std::max(timeouts.idle, timeouts.response));
        }
        return;
    }
    if (client_must_send) {
        attempt_.progress = now;
        proxy_.loop().cancel(backend_timer_);
        return;
    }
    auto deadline = attempt_.progress + timeouts.response;
    const auto per_try = pool_config().retry.per_try_timeout;
    if (per_try.count() != 0) {
        deadline = std::min(deadline, attempt_.began + per_try);
    }
    proxy_.loop().arm(backend_timer_, deadline);
}

Exchange::Step Exchange::reply(http::Reason reason) {
    if (answer_.started) {
        return finish(reason);  // the client has part of another answer: only closing is honest
    }
    leave_queue();  // while the stage still says that it is in one
    const auto& answer = http::info(reason);
    const bool body_left = !request_.parsed || !to_backend_.source_complete();
    answer_.lingers = body_left;
    request_.keep_alive = request_.keep_alive && !body_left && !proxy_.draining();
    end_attempt(blame(reason));
    answer_.status = reason == http::Reason::HttpsRedirect
                         ? session_->rules()->https_redirect->status
                         : answer.status;
    answer_.reason = reason;
    if (!answer_.interim_passed) {
        to_client_.out().clear(proxy_.buffer_capacity());  // else a rest of a 1xx may wait in it
    }
    auto& out = to_client_.out().head();
    out.append("HTTP/1.1 ");
    out.append_number(answer_.status);
    out.append(' ');
    out.append(http::status_phrase(answer_.status));
    if (reason == http::Reason::HttpsRedirect) {
        append_location();
    }
    if (!session_->hsts().empty()) {
        out.append("\r\nStrict-Transport-Security: ");
        out.append(session_->hsts());
    }
    out.append(
        "\r\nContent-Type: text/plain; charset=utf-8\r\nCache-Control: "
        "no-store\r\nX-Rproxy-Reason: ");
    out.append(answer.code);
    if (request_.parsed) {
        out.append("\r\nX-Request-Id: ");
        out.append(request_.ids.request_id());
    }
    out.append("\r\nContent-Length: ");
    out.append_number(answer.code.size() + 2 + answer.text.size() + 1);
    if (!request_.keep_alive) {
        out.append("\r\nConnection: close");
    } else if (request_.head.version == http::Version::Http10) {
        out.append("\r\nConnection: keep-alive");
    }
    out.append("\r\n\r\n");
    if (request_.head.method != http::Method::Head) {  // known of refused heads, too
        out.append(answer.code);
        out.append(": ");
        out.append(answer.text);
        out.append('\n');
    }
    begin_answer();
    stage_ = Stage::Replying;
    return Step::Continue;
}

/// Where a balancer in front ended the TLS, as it says and is believed to.
bool Exchange::came_by_https() const {
    if (!request_.client.peer_trusted) {
        return false;
    }
    const http::Field* const proto = request_.head.find(http::FieldId::XForwardedProto);
    return proto != nullptr && equals_ignoring_case(proto->value, "https");
}

Exchange::Step Exchange::redirect_to_https() {
    // Without a host there is no address to send anybody to.
    return request_.target.host.empty() || request_.target.path == "*"
               ? refuse({metrics::RequestRejection::Malformed, http::Reason::BadRequest})
               : reply(http::Reason::HttpsRedirect);
}

/// The same address with https, and with the port where that is.
void Exchange::append_location() {
    auto& out = to_client_.out().head();
    const std::string_view host = request_.target.host;
    const auto bracket = host.rfind(']');
    const auto colon = host.find(':', bracket == std::string_view::npos ? 0 : bracket);
    out.append("\r\nLocation: https://");
    out.append(host.substr(0, colon));
    if (const auto port = session_->rules()->https_redirect->port; port != 443) {
        out.append(':');
        out.append_number(port);
    }
    if (!request_.target.origin_form.starts_with('/')) {
        out.append('/');
    }
    out.append(request_.target.origin_form);
}

/// From here on the client has, or is about to have, a byte of it.
void Exchange::begin_answer() {
    answer_.started = true;
    answer_.at = proxy_.loop().now();
    if (request_.compared && request_.plan->side_cells != nullptr) {
        request_.plan->side_cells->answer_time.observe(answer_.at - request_.began);
    }
}

Exchange::Step Exchange::flush_reply() {
    if (!to_client_.out().empty()) {
        if (request_.deadline_passed && stage_ == Stage::Replying &&
            to_client_.out().written() != 0) {
            return finish(answer_.reason);
        }
        const auto result = to_client_.out().flush(session_->stream());
        if (result.status == net::IoResult::Status::WouldBlock) {
            session_->watch_writable();
            return Step::Wait;
        }
    }
    return finish(answer_.reason);
}

}  // namespace rproxy::proxy
