#include "proxy/exchange.h"
#include "proxy/proxy.h"
#include "proxy/session.h"

namespace rproxy::proxy {

/// Some endings say nothing of the backend.
Exchange::Blame Exchange::blame(http::Reason reason) {
    const bool clients_doing =
        reason == http::Reason::ClientClosed || reason == http::Reason::ClientTimeout ||
        reason == http::Reason::BadRequest || reason == http::Reason::BodyTooLarge;
    return clients_doing ? Blame::Nobody : Blame::Backend;
}

void Exchange::cancel() {
    finish(http::Reason::ClientClosed);
}

Exchange::Step Exchange::finish(http::Reason reason) {
    const auto now = proxy_.loop().now();
    leave_queue();
    const bool tunnelled = stage_ == Stage::Tunnel;
    const bool whole = reason == http::Reason::None && stage_ == Stage::Exchanging &&
                       response_.done() && response_started_;
    const bool backend_reusable = whole && request_sent_ && response_keeps_alive_ &&
                                  !close_delimited_ && response_.surplus() == 0 && lease_;
    end_attempt(blame(reason), backend_reusable);
    if (head_parsed_ || status_ != 0) {
        count_request(reason, now);
        log_request(reason, now);
    }
    if (tunnelled) {
        pool().cells->upgraded_connections_active.sub();
    }
    const bool replied = stage_ == Stage::Replying && response_.out().empty();
    const bool keep = keep_alive_ && (whole || replied) && request_.source_complete() &&
                      !close_delimited_ && !session_->reset;
    if (reset_at_end_ || (!whole && !replied && !tunnelled && close_delimited_)) {
        session_->stream().abort_on_close();
    }
    return next_after_finish(keep);
}

Exchange::Step Exchange::next_after_finish(bool keep) {
    const bool delivered = response_started_ && response_.out().empty();
    const bool lingers = !keep && delivered && !reset_at_end_ && stage_ != Stage::Tunnel &&
                         !session_->reset &&
                         (reply_lingers_ || !request_.source_complete() || session_->readable);
    next_ = keep ? Next::NextRequest : (lingers ? Next::Linger : Next::Close);
    if (keep) {
        request_.drop_message();
    }
    const std::size_t keep_capacity = proxy_.buffer_capacity();
    response_.reset(keep_capacity);
    request_.out().clear(keep_capacity);
    proxy_.loop().cancel(backend_timer_);
    // Everything of this request is forgotten here, in one place.
    plan_ = {};
    routed_ = head_parsed_ = keep_alive_ = request_sent_ = request_failed_ = false;
    scan_ = {};
    response_scan_ = {};
    head_.clear();
    response_head_.clear();
    began_ = {};
    excluded_.clear();
    attempts_ = retries_ = 0;
    fresh_used_ = saw_full_ = fallback_used_ = false;
    backend_time_ = {};
    parked_.reset();
    status_ = 0;
    response_started_ = response_seen_ = response_keeps_alive_ = close_delimited_ = false;
    reset_at_end_ = upgrade_ = tunnel_client_done_ = tunnel_backend_done_ = false;
    reply_reason_ = http::Reason::None;
    reply_lingers_ = client_deadline_passed_ = backend_deadline_passed_ = false;
    client_gone_noted_ = connecting_ = reused_ = queue_slot_free_ = interim_passed_ = false;
    stage_ = Stage::ReadingHead;
    return Step::Finished;
}

void Exchange::count_request(http::Reason reason, MonotonicTime now) {
    if (head_parsed_) {
        session_->listener().cells[proxy_.worker()].requests_active.sub();
        proxy_.cells().exchanges.sub();
    }
    const std::uint16_t status =
        reason == http::Reason::ClientClosed && status_ == 0 ? http::info(reason).status : status_;
    if (reply_reason_ != http::Reason::None) {
        proxy_.cells().local_replies[static_cast<std::size_t>(reply_reason_)].add();
    } else if (reason != http::Reason::None) {
        proxy_.cells().local_replies[static_cast<std::size_t>(reason)].add();
    }
    if (routed_) {
        auto& cells = *pool().cells;
        cells.requests.add(status, static_cast<metrics::RequestMethod>(head_.method));
        cells.request_duration[static_cast<std::size_t>(metrics::code_class(status))].observe(
            now - began_);
    }
}

void Exchange::log_request(http::Reason reason, MonotonicTime now) {
    const auto& log = proxy_.settings().log;
    const std::uint16_t status =
        reason == http::Reason::ClientClosed && status_ == 0 ? http::info(reason).status : status_;
    const bool failed = status >= 500 || reason != http::Reason::None;
    if (!log.access || proxy_.access_log() == nullptr || (log.access_only_failures && !failed)) {
        return;
    }
    if (log.access_sample.fraction < 1 && !failed &&
        proxy_.rng().unit() >= log.access_sample.fraction) {
        return;
    }
    log::AccessRecord record;
    record.time = proxy_.loop().wall_now();
    const std::string client = (head_parsed_ ? client_.address : session_->peer().ip).to_string();
    record.client = client;
    if (head_parsed_) {
        record.request_id = ids_.request_id();
        record.trace_id = ids_.trace_id();
        record.method = head_.method_text;
        record.host = target_.host;
        record.path = target_.path;
        record.protocol = head_.version == http::Version::Http11 ? "HTTP/1.1" : "HTTP/1.0";
    }
    record.status = status;
    record.bytes_in = head_size_ + request_.body().received();
    record.bytes_out = response_.out().written();
    record.duration = began_ == MonotonicTime{} ? std::chrono::nanoseconds{0} : now - began_;
    record.backend_duration = backend_time_;
    if (routed_) {
        record.pool = pool_config().name;
        if (attempts_ != 0) {
            record.backend = pool().plan->backends[slot_].name;
        }
    }
    record.attempts = attempts_;
    record.reason = http::info(reply_reason_ != http::Reason::None ? reply_reason_ : reason).code;
    proxy_.access_log()->append(record);
}

}  // namespace rproxy::proxy
