#pragma once

#include "backends/backend.h"
#include "base/clock.h"
#include "base/duration.h"
#include "net/event_loop.h"
#include "net/stream.h"
#include "tls/client_context.h"
#include "tls/io.h"

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

namespace rproxy::backends {

class ConnectionPool;
class Connection;

/// Who uses a connection at present and hears of its events.
class ConnectionUser {
public:
    virtual void on_connection_event(Connection& connection) = 0;

protected:
    ~ConnectionUser() = default;
};

/// One connection to a backend; idle in its pool or leased. Worker thread only.
class Connection final : public net::EventHandler, public net::Disposable {
public:
    Connection(ConnectionPool& pool, net::Fd fd, std::shared_ptr<const tls::ClientContext> context)
        : pool_(pool), stream_(std::move(fd)), context_(std::move(context)) {}

    net::Stream& stream() { return stream_; }
    /// Requests begun on it before this one.
    std::uint64_t served() const { return served_; }

    /// Edges seen and not yet used up: the user clears them when the socket has no more.
    bool readable{false};
    bool writable{false};
    bool peer_closed{false};  ///< FIN or reset seen; data may still wait before it.
    bool connected{false};    ///< TCP is; over TLS the handshake comes then.

private:
    friend class ConnectionPool;
    void on_event(std::uint32_t events) override;

    ConnectionPool& pool_;
    net::Stream stream_;
    const std::shared_ptr<const tls::ClientContext>
        context_;  // that it was opened with; null: plain
    ConnectionUser* user_{nullptr};
    Connection* newer_{nullptr};  // in the idle list
    Connection* older_{nullptr};
    MonotonicTime idle_since_;
    std::uint64_t served_{0};
};

/// The right to use one connection. Destroyed, it closes the connection; keep() returns it.
class Lease {
public:
    Lease() = default;
    Lease(ConnectionPool& pool, Connection& connection) : pool_(&pool), connection_(&connection) {}
    ~Lease() { close(); }
    Lease(Lease&& other) noexcept
        : pool_(std::exchange(other.pool_, nullptr)),
          connection_(std::exchange(other.connection_, nullptr)) {}
    Lease& operator=(Lease&& other) noexcept {
        if (this != &other) {
            close();
            pool_ = std::exchange(other.pool_, nullptr);
            connection_ = std::exchange(other.connection_, nullptr);
        }
        return *this;
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

    explicit operator bool() const { return connection_ != nullptr; }
    Connection* operator->() const { return connection_; }
    Connection& operator*() const { return *connection_; }
    /// Back to the pool: it must be between two messages with nothing unread.
    void keep();
    void close();
    /// As close, but with a reset instead of a FIN.
    void abort();

private:
    ConnectionPool* pool_{nullptr};
    Connection* connection_{nullptr};
};

/// One worker's connections to one backend, newest reused first so that the rest can age out. Stays
/// as long as a configuration or a lease refers to it. Worker thread only.
class ConnectionPool {
public:
    /// A plain count: everything that refers to a pool lives on its worker.
    class Ref;

    /// `io` is the worker's; it outlives the pool.
    ConnectionPool(net::EventLoop& loop, tls::Io& io, std::shared_ptr<Backend> backend,
                   std::size_t worker);
    ~ConnectionPool();
    ConnectionPool(const ConnectionPool&) = delete;
    ConnectionPool& operator=(const ConnectionPool&) = delete;

    const std::shared_ptr<Backend>& backend() const { return backend_; }
    BackendCells& cells() { return cells_; }

    /// How a backend is spoken to; a null context: in plain.
    struct Security {
        const std::shared_ptr<const tls::ClientContext>& context;
        const std::string& host;  ///< Asked for and verified where the context names no other.
    };
    /// The newest idle connection that still looks alive and was opened under the same terms, or an
    /// empty lease.
    Lease take_idle(ConnectionUser& user, const tls::ClientContext* context);
    /// Starts a connection; `user` hears when it is writable (then connect_result and
    /// Stream::handshake() tell).
    std::expected<Lease, std::error_code> connect(ConnectionUser& user, const Security& security);

    /// How long an idle connection is kept (pool.timeouts.idle).
    void set_idle_timeout(Duration timeout) { idle_timeout_ = timeout; }
    /// The backend left the configuration: idle connections close now, leased ones when returned.
    void retire();
    /// It came back before the pool was gone.
    void reinstate() { retired_ = false; }
    bool retired() const { return retired_; }
    /// Nothing refers to it and no connection is leased: it may be destroyed.
    bool unused() const { return references_ == 0 && leased_ == 0; }

private:
    friend class Lease;
    friend class Connection;
    static constexpr std::size_t kMostIdle = 1024;

    void give_back(Connection& connection);
    void destroy(Connection& connection);
    void unlink_idle(Connection& connection);
    void close_idle();
    void close_aged();

    net::EventLoop& loop_;
    tls::Io& io_;
    std::shared_ptr<Backend> backend_;
    BackendCells& cells_;
    tls::SessionCache tls_sessions_;
    std::shared_ptr<const tls::ClientContext> tls_sessions_of_;
    Duration idle_timeout_{60'000};
    bool retired_{false};
    std::size_t references_{0};
    std::size_t leased_{0};
    std::size_t idle_{0};
    Connection* newest_{nullptr};
    Connection* oldest_{nullptr};
    net::MemberTimer<ConnectionPool, &ConnectionPool::close_aged> timer_{*this};
};

/// Keeps a ConnectionPool from being unused().
class ConnectionPool::Ref {
public:
    Ref() = default;
    explicit Ref(ConnectionPool* pool) : pool_(pool) {
        if (pool_ != nullptr) {
            ++pool_->references_;
        }
    }
    Ref(const Ref& other) : Ref(other.pool_) {}
    Ref(Ref&& other) noexcept : pool_(std::exchange(other.pool_, nullptr)) {}
    Ref& operator=(const Ref& other) { return *this = Ref(other); }
    Ref& operator=(Ref&& other) noexcept {
        Ref taken(std::move(other));
        std::swap(pool_, taken.pool_);
        return *this;
    }
    ~Ref() {
        if (pool_ != nullptr) {
            --pool_->references_;
        }
    }
    ConnectionPool* get() const { return pool_; }
    ConnectionPool* operator->() const { return pool_; }
    ConnectionPool& operator*() const { return *pool_; }
    explicit operator bool() const { return pool_ != nullptr; }

private:
    ConnectionPool* pool_{nullptr};
};

}  // namespace rproxy::backends
