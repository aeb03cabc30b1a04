#include "proxy/proxy.h"

#include "log/log.h"
#include "proxy/exchange.h"

#include <algorithm>
#include <unordered_set>

namespace rproxy::proxy {

namespace {

/// How often pools of removed backends are looked at until their last request has ended.
constexpr std::chrono::seconds kSweepInterval{1};

}  // namespace

Proxy::Proxy(net::EventLoop& loop, const Options& options)
    : loop_(loop),
      tls_io_(loop),
      options_(options),
      recorder_(options.flight_records),
      rng_(options.seed),
      defaults_(std::make_unique<config::Snapshot>()) {
    use_settings(*defaults_);
    loop_.set_turn_observer(
        [this](std::chrono::nanoseconds worked) { cells_.loop_lag.observe(worked); });
    loop_.set_end_of_turn([this] { turn_ended(); });
}

Proxy::~Proxy() = default;

void Proxy::turn_ended() {
    // Going on may wake others; those go on in this turn too.
    for (std::size_t i = 0; i < woken_.size(); ++i) {  // NOLINT(modernize-loop-convert): it grows
        woken_[i]->drive();
    }
    woken_.clear();
    hand_shake();
}

void Proxy::hand_shake() {
    if (handshakes_.empty()) {
        return;
    }
    Session& session = *handshakes_.front();
    handshakes_.pop_front();
    session.handshake_->queued = false;
    session.hand_shake();
    if (!handshakes_.empty()) {
        loop_.turn_again();
    }
}

void Proxy::queue_handshake(Session& session) {
    if (!std::exchange(session.handshake_->queued, true)) {
        handshakes_.push_back(&session);
    }
}

void Proxy::forget_handshake(Session& session) {
    if (session.handshake_->queued) {
        std::erase(handshakes_, &session);
    }
}

void Proxy::report_insecure_backend(const backends::Backend& backend, std::string_view problem) {
    if (const auto suppressed = insecure_backends_.admit(loop_.now())) {
        log::warn("TLS with backend failed", "pool", backend.key().pool, "backend",
                  backend.key().address, "problem", problem, "suppressed", *suppressed);
    }
}

void Proxy::report_failed_handshake(Session& session, std::string_view problem) {
    if (const auto suppressed = handshake_failures_.admit(loop_.now())) {
        log::info("TLS handshake failed", "listener", session.listener().name, "client",
                  session.peer().ip.to_string(), "problem", problem, "suppressed", *suppressed);
    }
}

backends::ConnectionPool& Proxy::connection_pool(
    const std::shared_ptr<backends::Backend>& backend) {
    auto& pool = connection_pools_[backend->key()];
    if (!pool) {
        pool = std::make_unique<backends::ConnectionPool>(loop_, tls_io_, backend, options_.worker);
    }
    pool->reinstate();
    return *pool;
}

WorkerPlan::Ref Proxy::set_up(Work work, const std::shared_ptr<RolloutCells>& cells,
                              RolloutSide side) {
    auto mine = std::make_unique<WorkerPlan>();
    mine->side = side;
    if (cells) {
        mine->rollout = cells;
        mine->side_cells = &cells->cells(options_.worker, side);
    }
    mine->pools.resize(work.plan->pools.size());
    for (std::size_t i = 0; i < work.plan->pools.size(); ++i) {
        const runtime::PoolPlan& pool = work.plan->pools[i];
        WorkerPool& worker_pool = mine->pools[i];
        worker_pool.plan = &pool;
        worker_pool.policy = std::move(work.policies[i]);
        worker_pool.cells = &pool.state->cells(options_.worker);
        // Retries of a plan on trial must not use up what the others may need; no pool's name
        // begins with a space.
        worker_pool.budget =
            &budgets_[(side == RolloutSide::Candidate ? " " : "") + pool.config.name];
        if (pool.config.method == balancing::Method::IpHash && pool.backends.size() > 1) {
            worker_pool.keys = &key_watches_[pool.config.name];
        }
        worker_pool.queue = &queues_[pool.config.name];
        worker_pool.slots.reserve(pool.backends.size());
        for (const auto& backend : pool.backends) {
            auto& connections = connection_pool(backend.backend);
            if (!backend.shared) {
                connections.set_idle_timeout(pool.config.timeouts.idle);
            }
            worker_pool.slots.emplace_back(&connections);
        }
    }
    mine->plan = std::move(work.plan);
    return WorkerPlan::Ref(std::move(mine));
}

void Proxy::apply(Assignment assignment, std::vector<Socket> added) {
    const auto& frame =
        assignment.candidate.plan ? assignment.candidate.plan : assignment.stable.plan;
    tls_io_.set_ticket_keys(frame->ticket_keys);
    reconcile_listeners(*frame, std::move(added));
    snapshot_ = frame->snapshot;
    use_settings(snapshot_ ? *snapshot_ : *defaults_);
    plan_ = set_up(std::move(assignment.stable), assignment.cells, RolloutSide::Stable);
    candidate_ = {};
    if (assignment.candidate.plan) {
        candidate_ =
            set_up(std::move(assignment.candidate), assignment.cells, RolloutSide::Candidate);
    }
    candidate_share_ = assignment.share;
    retire_missing();
    // There may be more room by the new plan; those who wait go on with it.
    for (auto& [name, queue] : queues_) {
        wake_all(queue);
    }
}

void Proxy::use_settings(const config::Snapshot& settings) {
    settings_ = &settings;
    const auto& limits = settings.limits;
    const auto header_bytes = static_cast<std::size_t>(limits.header_bytes.bytes);
    request_limits_ = {header_bytes, limits.header_count,
                       static_cast<std::size_t>(limits.request_line.bytes)};
    large_buffers_.configure(static_cast<std::size_t>(settings.large_buffers.size.bytes),
                             settings.large_buffers.count);
    // A status line has no limit of its own.
    response_limits_ = {header_bytes, limits.header_count, header_bytes};
}

void Proxy::set_share(const RolloutCells* cells, double share) {
    if (candidate_ && candidate_->rollout.get() == cells) {
        candidate_share_ = share;
    }
}

void Proxy::retire_missing() {
    std::unordered_set<const backends::Backend*> kept;
    for (const auto* const plan : {&plan_, &candidate_}) {
        for (std::size_t i = 0; *plan && i < (*plan)->plan->pools.size(); ++i) {
            for (const auto& backend : (*plan)->plan->pools[i].backends) {
                kept.insert(backend.backend.get());
            }
        }
    }
    for (auto& [key, connections] : connection_pools_) {
        if (!kept.contains(connections->backend().get())) {
            connections->retire();
            loop_.arm(sweep_timer_, loop_.now() + kSweepInterval);
        }
    }
}

/// Retired pools go once the last request on the old plan has.
void Proxy::sweep_pools() {
    bool more = false;
    for (auto it = connection_pools_.begin(); it != connection_pools_.end();) {
        if (it->second->unused()) {
            it = connection_pools_.erase(it);
        } else {
            more = more || it->second->retired();
            ++it;
        }
    }
    if (more) {
        loop_.arm(sweep_timer_, loop_.now() + kSweepInterval);
    }
}

void Proxy::reconcile_listeners(const runtime::Plan& plan, std::vector<Socket> added) {
    std::map<std::string, std::unique_ptr<Acceptor>> next;
    for (const auto& listener : plan.leaving) {
        const auto kept = acceptors_.find(listener.config.address.to_string());
        if (kept != acceptors_.end()) {
            next.insert(acceptors_.extract(kept));
        }
    }
    for (const auto& listener : plan.listeners) {
        const std::string address = listener.config.address.to_string();
        if (const auto kept = acceptors_.find(address); kept != acceptors_.end()) {
            kept->second->update(listener);
            next.insert(acceptors_.extract(kept));
            continue;
        }
        const auto socket = std::ranges::find(added, address, &Socket::address);
        if (socket != added.end() && !closing_) {
            next[address] = std::make_unique<Acceptor>(*this, std::move(socket->fd), listener);
        }
    }
    std::swap(acceptors_, next);
    for (auto& [address, acceptor] : next) {
        acceptor->accept_waiting();
    }
}

void Proxy::set_policy(std::uint64_t revision, std::size_t pool,
                       const std::shared_ptr<const runtime::PoolPolicy>& policy) {
    for (auto* const plan : {&plan_, &candidate_}) {
        if (!*plan || (*plan)->plan->revision != revision || pool >= (*plan)->pools.size()) {
            continue;
        }
        (*plan)->pools[pool].policy = policy;
        // A whole backend may have come back: everybody who waits may try.
        wake_all(*(*plan)->pools[pool].queue);
    }
}

void Proxy::close_listeners() {
    closing_ = true;
    for (auto& [address, acceptor] : acceptors_) {
        acceptor->accept_waiting();
    }
    acceptors_.clear();
    for (Session* session = sessions_; session != nullptr;) {
        Session* const next = session->next_;
        session->close_if_idle();
        session = next;
    }
}

void Proxy::close_all() {
    acceptors_.clear();
    while (sessions_ != nullptr) {
        sessions_->close();
    }
    for (auto& [key, connections] : connection_pools_) {
        connections->retire();
    }
}

void Proxy::accept(net::Accepted accepted, ClientListener listener) {
    auto& state = *listener.state;
    auto& cells = state.cells[options_.worker];
    const auto limit = settings_->limits.connections;
    if (limit != 0 && state.connections.load(std::memory_order_relaxed) >= limit) {
        refuse(accepted, listener);
        return;
    }
    if (listener.rules && listener.rules->tls) {
        const auto most = listener.rules->handshake.limit;
        if (most != 0 && state.handshakes.load(std::memory_order_relaxed) >= most) {
            cells.handshakes[metrics::HandshakeResult::Refused].add();
            cells.connections_rejected[metrics::ListenerRejection::HandshakeLimit].add();
            return;
        }
    }
    state.connections.fetch_add(1, std::memory_order_relaxed);
    cells.connections_total.add();
    cells.connections_active.add();
    cells_.sessions.add();
    auto* const session =
        std::make_unique<Session>(*this, std::move(accepted), std::move(listener)).release();
    session->next_ = sessions_;
    if (sessions_ != nullptr) {
        sessions_->previous_ = session;
    }
    sessions_ = session;
    session->start();
}

/// Over limits.connections: a short answer that always fits the socket's buffer, and goodbye.
void Proxy::refuse(net::Accepted& accepted, const ClientListener& listener) {
    listener.state->cells[options_.worker]
        .connections_rejected[metrics::ListenerRejection::Limit]
        .add();
    if (listener.rules && listener.rules->tls) {
        return;  // a handshake is what the limit is there to save
    }
    cells_.local_replies[static_cast<std::size_t>(http::Reason::ConnectionLimit)].add();
    const auto& answer = http::info(http::Reason::ConnectionLimit);
    const std::string body = std::string(answer.code) + ": " + std::string(answer.text) + "\n";
    const std::string head =
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n"
        "Cache-Control: no-store\r\nX-Rproxy-Reason: " +
        std::string(answer.code) +
        "\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n";
    std::string text = head + body;
    net::Stream stream(std::move(accepted.fd));
    const iovec piece{text.data(), text.size()};
    stream.write({&piece, 1});
    stream.shutdown_write();
    // What the client has sent already would turn the close into a reset and destroy the answer.
    std::array<char, 4096> scratch;
    stream.read(scratch);
}

void Proxy::forget(Session& session) {
    (session.previous_ != nullptr ? session.previous_->next_ : sessions_) = session.next_;
    if (session.next_ != nullptr) {
        session.next_->previous_ = session.previous_;
    }
    session.listener().connections.fetch_sub(1, std::memory_order_relaxed);
    session.listener().cells[options_.worker].connections_active.sub();
    cells_.sessions.sub();
    loop_.dispose(std::unique_ptr<net::Disposable>(&session));
}

std::unique_ptr<Exchange> Proxy::take_exchange(Session& session) {
    std::unique_ptr<Exchange> exchange;
    if (stock_.empty()) {
        exchange = std::make_unique<Exchange>(*this);
    } else {
        exchange = std::move(stock_.back());
        stock_.pop_back();
    }
    exchange->attach(session);
    return exchange;
}

void Proxy::give_back(std::unique_ptr<Exchange> exchange) {
    exchange->detach();
    if (stock_.size() < kMostStocked) {
        stock_.push_back(std::move(exchange));
    }
}

void Proxy::wake(Waiter& waiter, bool tell_others) {
    waiter.woken = true;
    waiter.tell_others = tell_others;
    woken_.push_back(waiter.session);
}

/// Wakes `waiting` or the first after it that is not on its way already; false if there is none.
bool Proxy::wake_next(Waiter* waiting, bool tell_others) {
    while (waiting != nullptr && waiting->woken) {
        waiting = waiting->next;  // for another slot
    }
    if (waiting == nullptr) {
        return false;
    }
    wake(*waiting, tell_others);
    return true;
}

void Proxy::wake_all(const WaitQueue& queue) {
    for (Waiter* waiting = queue.first(); waiting != nullptr; waiting = waiting->next) {
        wake(*waiting, false);
    }
}

void Proxy::wake_others(const WorkerPool& pool) {
    if (pool.plan->state->waiting.load(std::memory_order_relaxed) != 0 && options_.wake_others) {
        options_.wake_others(pool.plan->config.name);
    }
}

void Proxy::slot_freed(WorkerPool& pool) {
    if (!wake_next(pool.queue->first(), true) && pool.queue->empty()) {
        wake_others(pool);
    }
}

void Proxy::pass_on(const WorkerPool& pool, const Waiter& waiter) {
    if (!waiter.choosy && !candidate_) {
        return;  // it was taken meanwhile; whoever looks now finds the same
    }
    Waiter* next = waiter.next;
    while (next != nullptr && !waiter.choosy && next->pool == waiter.pool) {
        next = next->next;
    }
    // A slot goes through the queue once, and to the other workers once: theirs do not send it
    // back.
    if (!wake_next(next, waiter.tell_others) && waiter.tell_others) {
        wake_others(pool);
    }
}

void Proxy::wake_waiting(const std::string& pool) {
    if (const auto queue = queues_.find(pool); queue != queues_.end()) {
        wake_next(queue->second.first(), false);
    }
}

void Proxy::watch_key(WorkerPool& pool, const IpAddress& client) {
    const auto key = client.hash();
    if (pool.keys->add(key) != key) {
        return;
    }
    if (const auto suppressed = one_key_warnings_.admit(loop_.now())) {
        log::warn("nearly all requests of a pool come from one address", "pool",
                  pool.plan->config.name, "client", client.to_string(), "method", "ip_hash",
                  "suppressed", *suppressed, "hint",
                  "if it is a load balancer, name it in trusted_proxies");
    }
}

void Proxy::report_accept_failure(std::error_code error) {
    if (const auto suppressed = accept_failures_.admit(loop_.now())) {
        log::warn("cannot accept clients", "error", error.message(), "suppressed", *suppressed,
                  "hint", "raise the limit of open files (ulimit -n)");
    }
}

}  // namespace rproxy::proxy
