#include "proxy/exchange.h"
#include "proxy/proxy.h"
#include "proxy/session.h"

namespace rproxy::proxy {

/// Some endings say nothing of the backend.
Exchange::Blame Exchange::blame(http::Reason reason) {
    const bool clients_doing =
        reason == http::Reason::ClientClosed || reason == http::Reason::ClientTimeout ||
        reason == http::Reason::BadRequest || reason == http::Reason::BodyTooLarge ||
        reason == http::Reason::HttpsRedirect;
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
                       to_client_.done() && answer_.started;
    const bool backend_reusable = whole && attempt_.request_sent && answer_.backend_keeps_alive &&
                                  !answer_.close_delimited && to_client_.surplus() == 0 &&
                                  attempt_.lease;
    end_attempt(blame(reason), backend_reusable);
    if (request_.parsed || answer_.status != 0) {
        const std::uint16_t status = reason == http::Reason::ClientClosed && answer_.status == 0
                                         ? http::info(reason).status
                                         : answer_.status;
        // What was answered instead says more than how that answer ended.
        const Ending ending{status, answer_.reason != http::Reason::None ? answer_.reason : reason,
                            now};
        count_request(ending);
        log_request(ending);
        record_flight(ending);
    }
    if (tunnelled) {
        pool().cells->upgraded_connections_active.sub();
    }
    const bool replied = stage_ == Stage::Replying && to_client_.out().empty();
    const bool keep = request_.keep_alive && (whole || replied) && to_backend_.source_complete() &&
                      !answer_.close_delimited && !session_->reset;
    // Over TLS a goodbye would say that nothing was cut off.
    const bool broken = answer_.started && !whole && !replied && !tunnelled;
    if (answer_.reset_at_end || (broken && (answer_.close_delimited || session_->secured()))) {
        session_->stream().abort_on_close();
    }
    return next_after_finish(keep);
}

Exchange::Step Exchange::next_after_finish(bool keep) {
    const bool delivered = answer_.started && to_client_.out().empty();
    const bool lingers = !keep && delivered && !answer_.reset_at_end && stage_ != Stage::Tunnel &&
                         !session_->reset &&
                         (answer_.lingers || !to_backend_.source_complete() || session_->readable);
    next_ = keep ? Next::NextRequest : (lingers ? Next::Linger : Next::Close);
    if (keep) {
        to_backend_.drop_message();
    }
    const std::size_t keep_capacity = proxy_.buffer_capacity();
    to_client_.reset(keep_capacity);
    to_backend_.out().clear(keep_capacity);
    proxy_.loop().cancel(backend_timer_);
    // Everything of this request is forgotten here, in one place.
    reader_.reset();
    request_.reset();
    renew(attempt_);
    renew(tries_);
    answer_.reset();
    tunnel_ = {};
    stage_ = Stage::ReadingHead;
    return Step::Finished;
}

void Exchange::count_request(const Ending& ending) {
    if (request_.parsed) {
        session_->listener().cells[proxy_.worker()].requests_active.sub();
        proxy_.cells().exchanges.sub();
    }
    if (ending.reason != http::Reason::None) {
        proxy_.cells().local_replies[static_cast<std::size_t>(ending.reason)].add();
    }
    if (request_.routed) {
        auto& cells = *pool().cells;
        cells.requests.add(ending.status,
                           static_cast<metrics::RequestMethod>(request_.head.method));
        cells.request_duration[static_cast<std::size_t>(metrics::code_class(ending.status))]
            .observe(ending.now - request_.began);
    }
    if (request_.compared && request_.plan->side_cells != nullptr) {
        count_for_rollout(ending);
    }
}

/// What this request says of the configuration that it ran on; nothing, if its client spoilt it.
void Exchange::count_for_rollout(const Ending& ending) const {
    if (ending.reason != http::Reason::None && blame(ending.reason) == Blame::Nobody) {
        return;
    }
    constexpr std::uint16_t kFirstServerError = 500;
    auto& cells = *request_.plan->side_cells;
    cells.requests.add();
    if (ending.reason != http::Reason::None || ending.status >= kFirstServerError) {
        cells.failures.add();
    }
}

void Exchange::log_request(const Ending& ending) {
    const auto& log = proxy_.settings().log;
    const bool failed = ending.status >= 500 || (ending.reason != http::Reason::None &&
                                                 ending.reason != http::Reason::HttpsRedirect);
    if (!log.access || proxy_.access_log() == nullptr || (log.access_only_failures && !failed)) {
        return;
    }
    if (log.access_sample.fraction < 1 && !failed &&
        proxy_.rng().unit() >= log.access_sample.fraction) {
        return;
    }
    log::AccessRecord record;
    record.time = proxy_.loop().wall_now();
    const std::string client =
        (request_.parsed ? request_.client.address : session_->peer().ip).to_string();
    record.client = client;
    if (request_.parsed) {
        record.request_id = request_.ids.request_id();
        record.trace_id = request_.ids.trace_id();
        record.method = request_.head.method_text;
        record.host = request_.target.host;
        record.path = request_.target.path;
        record.protocol = request_.head.version == http::Version::Http11 ? "HTTP/1.1" : "HTTP/1.0";
    }
    record.status = ending.status;
    record.bytes_in = request_.head_size + to_backend_.body().received();
    record.bytes_out = to_client_.out().written();
    record.duration = request_.began == MonotonicTime{} ? std::chrono::nanoseconds{0}
                                                        : ending.now - request_.began;
    record.backend_duration = tries_.backend_time;
    if (request_.routed) {
        record.pool = pool_config().name;
        if (tries_.backend != nullptr) {
            record.backend = tries_.backend->name;
        }
    }
    record.attempts = tries_.attempts;
    record.reason = http::info(ending.reason).code;
    proxy_.access_log()->append(record);
}

void Exchange::record_flight(const Ending& ending) {
    const bool answered = answer_.at != MonotonicTime{};
    const auto until_answer = answered ? answer_.at - request_.began : std::chrono::nanoseconds{0};
    const std::uint8_t why = worth_recording(
        {ending.status, ending.reason, request_.routed, tries_.retries != 0, until_answer});
    if (why == 0 || !request_.parsed) {
        return;
    }
    FlightRecord record;
    record.time = proxy_.loop().wall_now();
    record.why = why;
    record.timers = tries_.timers;
    record.status = ending.status;
    record.reason = ending.reason;
    record.attempts = tries_.attempts;
    record.duration = ending.now - request_.began;
    record.until_answer = until_answer;
    record.backend_duration = tries_.backend_time;
    record.queued = tries_.queued;
    record.bytes_in = request_.head_size + to_backend_.body().received();
    record.bytes_out = to_client_.out().written();
    record.request_id = request_.ids.request_id();
    record.trace_id = request_.ids.trace_id();
    record.client = request_.client.address.to_string();
    record.method = request_.head.method_text;
    record.host = request_.target.host;
    record.path = request_.target.path;
    if (request_.plan) {
        record.generation = request_.plan->plan->generation;
    }
    if (request_.routed) {
        record.pool = pool_config().name;
    }
    record.kept_attempts = static_cast<std::uint32_t>(tries_.notes.kept());
    for (std::size_t i = 0; i < record.kept_attempts; ++i) {
        const auto& note = tries_.notes.notes[i];
        record.tried[i].backend = request_.plan->pools[note.pool].plan->backends[note.slot].name;
        record.tried[i].duration = std::chrono::microseconds{note.microseconds};
        record.tried[i].status = note.status;
        record.tried[i].result = note.result;
    }
    proxy_.recorder().add(record);
}

}  // namespace rproxy::proxy
