#pragma once

#include "config/snapshot.h"
#include "tls/io.h"

#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace rproxy::tls {

class Session;
struct Certificate;
struct SettingProblem;

/// The sessions that a backend offered for the next connection, newest last. One for each backend
/// and worker; outlives the connections made with it.
class SessionCache {
public:
    SessionCache();
    ~SessionCache();
    SessionCache(const SessionCache&) = delete;
    SessionCache& operator=(const SessionCache&) = delete;

    /// They belong to other settings.
    void clear();

private:
    friend class ClientContext;
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

/// How the backends of a pool are spoken to: whom to trust, what to show. Immutable; made on the
/// control thread, shared by all workers.
class ClientContext : public std::enable_shared_from_this<ClientContext> {
public:
    /// `ca`: the text of the file; absent: the system's authorities. `identity` is equal for equal
    /// settings and files, `trust` for those of them that decide whether an open connection may
    /// still be used: all but the certificate that we show.
    static std::expected<std::shared_ptr<const ClientContext>, SettingProblem> make(
        const config::BackendTls& config, std::optional<std::string_view> ca,
        std::optional<Certificate> certificate, std::string identity, std::string trust);
    ~ClientContext();
    ClientContext(const ClientContext&) = delete;
    ClientContext& operator=(const ClientContext&) = delete;

    /// Begins the client's side of a handshake on `fd`, as with `host` unless the configuration
    /// names a server; null: no memory. Sessions are taken from and put into `cache`, if there is
    /// one. Any thread.
    std::unique_ptr<Session> connect(Io& io, int fd, const std::string& host,
                                     SessionCache* cache) const;
    const std::string& identity() const { return identity_; }
    const std::string& trust() const { return trust_; }

private:
    struct Parts;  // OpenSSL's
    ClientContext(std::string identity, std::string trust);

    std::unique_ptr<Parts> parts_;
    const std::string identity_;
    const std::string trust_;
    std::string server_name_;
    bool verify_{true};
};

}  // namespace rproxy::tls
