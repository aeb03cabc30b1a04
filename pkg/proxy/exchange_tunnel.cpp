#include "proxy/exchange.h"
#include "proxy/proxy.h"
#include "proxy/session.h"

namespace rproxy::proxy {

Exchange::Step Exchange::start_tunnel() {
    answer_.status = 101;
    auto edits = response_edits();
    edits.upgrade = true;
    edits.set_cookie = new_cookie();
    http::write_response_head(answer_.head, {}, edits, to_client_.out().head());
    const http::BodyFraming raw{http::BodyFraming::Kind::UntilClose, 0};
    to_client_.start(raw, answer_.head_size, false);
    to_backend_.start(raw, request_.head_size, false);
    to_backend_.set_limit(0);
    begin_answer();
    request_.keep_alive = false;
    stage_ = Stage::Tunnel;
    pool().cells->upgraded_connections_active.add();
    proxy_.loop().cancel(backend_timer_);
    return Step::Continue;
}

Exchange::Step Exchange::pump_tunnel() {
    if (request_.deadline_passed || session_->reset) {
        return finish(http::Reason::None);
    }
    const auto failed = [](Pump::Status status) {
        return status == Pump::Status::SourceFailed || status == Pump::Status::SinkFailed;
    };
    if (!tunnel_.client_done) {
        const Pump::Status status = to_backend_.run(client_source(), backend_sink());
        if (failed(status)) {
            return finish(http::Reason::None);
        }
        if (status == Pump::Status::Done) {
            tunnel_.client_done = true;
            attempt_.lease->stream().shutdown_write();
        }
    }
    if (!tunnel_.backend_done) {
        const Pump::Status status = to_client_.run(backend_source(), client_sink());
        if (failed(status)) {
            return finish(http::Reason::None);
        }
        if (status == Pump::Status::WaitSink) {
            session_->watch_writable();
        }
        if (status == Pump::Status::Done) {
            tunnel_.backend_done = true;
            session_->stream().shutdown_write();
        }
    }
    return tunnel_.client_done && tunnel_.backend_done ? finish(http::Reason::None) : Step::Wait;
}

}  // namespace rproxy::proxy
