#pragma once

#include "base/clock.h"
#include "config/snapshot.h"
#include "net/stream.h"
#include "tls/io.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rproxy::tls {

class Session;
struct Certificate;
struct SettingProblem;

/// What a listener shows its clients and asks of them: certificates by name, versions, ciphers,
/// client authorities, resumption. Immutable; made on the control thread, shared by all workers. A
/// connection keeps the one that it began with.
class ServerContext : public std::enable_shared_from_this<ServerContext> {
public:
    /// A certificate as people see it. Nothing of its key.
    struct Shown {
        std::string name;  ///< Its first name, else its subject.
        std::string path;  ///< As configured.
        std::string fingerprint;
        std::string kind;
        std::vector<std::string> names;
        WallTime not_before;
        WallTime not_after;
    };

    /// `identity` is equal for equal settings and files. `client_ca`: the text of the file.
    static std::expected<std::shared_ptr<const ServerContext>, SettingProblem> make(
        const config::ListenerTls& config, std::vector<Certificate> certificates,
        std::optional<std::string_view> client_ca, std::string identity);
    ~ServerContext();
    ServerContext(const ServerContext&) = delete;
    ServerContext& operator=(const ServerContext&) = delete;

    /// Begins the server's side of a handshake on `fd`; null: no memory. Any worker.
    std::unique_ptr<Session> accept(Io& io, int fd) const;
    const std::vector<Shown>& shown() const { return shown_; }
    const std::string& identity() const { return identity_; }

    /// How long a ticket may be used. Keys that are renewed half as often as that serve it whole.
    static constexpr std::chrono::hours kTicketLifetime{24};
    static constexpr std::chrono::hours kTicketKeyInterval{12};

private:
    struct Parts;  // OpenSSL's
    struct Callbacks;
    explicit ServerContext(std::string identity);

    std::unique_ptr<Parts> parts_;
    std::vector<Shown> shown_;
    const std::string identity_;
};

}  // namespace rproxy::tls
