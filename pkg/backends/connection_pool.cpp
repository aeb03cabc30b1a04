#include "backends/connection_pool.h"

#include "tls/session.h"

#include <sys/epoll.h>

namespace rproxy::backends {

void Connection::on_event(std::uint32_t events) {
    if ((events & EPOLLOUT) != 0) {
        writable = true;
    }
    if ((events & EPOLLIN) != 0) {
        readable = true;
    }
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
        peer_closed = true;
        readable = true;  // the read tells what happened
        writable = true;
    }
    if (user_ != nullptr) {
        user_->on_connection_event(*this);
    } else if (readable) {
        // An idle connection has nothing to say: it closes, or it sent what nobody asked for.
        pool_.unlink_idle(*this);
        pool_.destroy(*this);
    }
}

void Lease::keep() {
    if (connection_ != nullptr) {
        std::exchange(pool_, nullptr)->give_back(*std::exchange(connection_, nullptr));
    }
}

void Lease::close() {
    if (connection_ != nullptr) {
        auto* const pool = std::exchange(pool_, nullptr);
        --pool->leased_;
        pool->destroy(*std::exchange(connection_, nullptr));
    }
}

void Lease::abort() {
    if (connection_ != nullptr) {
        connection_->stream().abort_on_close();
        close();
    }
}

ConnectionPool::ConnectionPool(net::EventLoop& loop, tls::Io& io, std::shared_ptr<Backend> backend,
                               std::size_t worker)
    : loop_(loop), io_(io), backend_(std::move(backend)), cells_(backend_->cells(worker)) {}

ConnectionPool::~ConnectionPool() {
    close_idle();
}

namespace {

/// Another certificate of ours does not make a connection worse; another idea of whom to trust
/// does.
bool same_terms(const tls::ClientContext* a, const tls::ClientContext* b) {
    return a == b || (a != nullptr && b != nullptr && a->trust() == b->trust());
}

}  // namespace

Lease ConnectionPool::take_idle(ConnectionUser& user, const tls::ClientContext* context) {
    Connection* next = newest_;
    while (next != nullptr) {
        Connection& connection = *next;
        next = connection.older_;
        if (!same_terms(connection.context_.get(), context)) {
            continue;  // perhaps those of a plan on trial; else it ages out
        }
        unlink_idle(connection);
        if (connection.readable) {
            destroy(connection);
            continue;
        }
        connection.user_ = &user;
        ++connection.served_;
        ++leased_;
        return Lease{*this, connection};
    }
    return {};
}

std::expected<Lease, std::error_code> ConnectionPool::connect(ConnectionUser& user,
                                                              const Security& security) {
    auto fd = net::start_connect(backend_->address());
    if (!fd) {
        return std::unexpected{fd.error()};
    }
    auto connection = std::make_unique<Connection>(*this, std::move(*fd), security.context);
    connection->user_ = &user;
    if (security.context) {
        if (tls_sessions_of_ != security.context) {
            tls_sessions_.clear();
            tls_sessions_of_ = security.context;
        }
        connection->stream().secure(security.context->connect(io_, connection->stream().fd(),
                                                              security.host, &tls_sessions_));
        if (!connection->stream().secured()) {
            return std::unexpected{std::make_error_code(std::errc::not_enough_memory)};
        }
    }
    if (!loop_.add(connection->stream().fd(), EPOLLIN | EPOLLOUT | EPOLLRDHUP, *connection)) {
        return std::unexpected{std::error_code{errno, std::generic_category()}};
    }
    ++leased_;
    cells_.connections_active.add();
    return Lease{*this, *connection.release()};
}

void ConnectionPool::give_back(Connection& connection) {
    --leased_;
    connection.user_ = nullptr;
    if (retired_ || connection.readable || idle_ >= kMostIdle) {
        destroy(connection);
        return;
    }
    connection.idle_since_ = loop_.now();
    connection.newer_ = nullptr;
    connection.older_ = newest_;
    (newest_ != nullptr ? newest_->newer_ : oldest_) = &connection;
    newest_ = &connection;
    ++idle_;
    cells_.connections_idle.add();
    if (!timer_.armed()) {
        loop_.arm(timer_, loop_.now() + idle_timeout_);
    }
}

void ConnectionPool::unlink_idle(Connection& connection) {
    (connection.newer_ != nullptr ? connection.newer_->older_ : newest_) = connection.older_;
    (connection.older_ != nullptr ? connection.older_->newer_ : oldest_) = connection.newer_;
    connection.newer_ = nullptr;
    connection.older_ = nullptr;
    --idle_;
    cells_.connections_idle.sub();
}

void ConnectionPool::destroy(Connection& connection) {
    loop_.remove(connection.stream().fd(), connection);
    connection.stream().close();
    connection.user_ = nullptr;
    cells_.connections_active.sub();
    // Its event handler may be on the stack below.
    loop_.dispose(std::unique_ptr<net::Disposable>(&connection));
}

void ConnectionPool::close_idle() {
    while (newest_ != nullptr) {
        Connection& connection = *newest_;
        unlink_idle(connection);
        destroy(connection);
    }
}

void ConnectionPool::close_aged() {
    while (oldest_ != nullptr && oldest_->idle_since_ + idle_timeout_ <= loop_.now()) {
        Connection& connection = *oldest_;
        unlink_idle(connection);
        destroy(connection);
    }
    if (oldest_ != nullptr) {
        loop_.arm(timer_, oldest_->idle_since_ + idle_timeout_);
    }
}

void ConnectionPool::retire() {
    retired_ = true;
    close_idle();
}

}  // namespace rproxy::backends
