#pragma once

#include "base/ip_address.h"
#include "http/buffer.h"
#include "http/framing.h"
#include "http/head.h"
#include "http/target.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

/// What the proxy writes in place of what it read: heads are re-serialised from the parsed model,
/// never passed on as bytes.
namespace rproxy::http {

/// The field names that `Connection` names, as views into `fields`, which must outlive it. Looks at
/// the fields again for those beyond a small number, so that a long list hides nothing.
class ConnectionOptions {
public:
    explicit ConnectionOptions(std::span<const Field> fields);
    /// Whether `name` must not be passed on because Connection names it (RFC 9110 §7.6.1).
    bool names(std::string_view name) const;

private:
    static constexpr std::size_t kMost = 16;
    std::span<const Field> fields_;
    std::string_view names_[kMost];
    std::size_t size_{0};
    bool more_{false};
};

/// Who the client is, after X-Forwarded-For was believed or not.
struct ClientIdentity {
    IpAddress peer;     ///< The socket's (or PROXY protocol's) address.
    IpAddress address;  ///< The peer, or behind trusted proxies the last untrusted hop.
    bool peer_trusted{false};
};
ClientIdentity identify_client(const IpAddress& peer, std::span<const Cidr> trusted,
                               std::span<const Field> fields);

/// Whether a backend may take `name` for `field`: any case, and `_` for `-` (CGI, WSGI and their
/// kin).
bool reads_as(std::string_view name, std::string_view field);

/// Everything the request head needs besides what the client sent.
struct RequestEdits {
    const ClientIdentity& client;
    std::uint16_t listener_port;
    bool tls;                      ///< The client's connection.
    std::string_view request_id;   ///< Passed or created.
    std::string_view traceparent;  ///< Passed or created.
    bool upgrade;                  ///< Pass Upgrade on.
    /// Fields in which only we may speak of a client's certificate: dropped, however written.
    std::span<const std::string> certificate_fields{};
    std::string_view subject_field{};  ///< Ours of them, on this connection; empty: none.
    std::string_view subject{};        ///< What it says; empty: it is not sent.
};
/// Appends the head for the backend: origin form, Host first, hop-by-hop fields gone, X-Forwarded-*
/// set (appended to only behind trusted proxies), framing as `framing` says.
void write_request_head(const RequestHead& head, const Target& target, const BodyFraming& framing,
                        const RequestEdits& edits, Buffer& out);

/// What the response head needs besides what the backend sent.
struct ResponseEdits {
    bool close{false};           ///< Say `Connection: close`.
    bool say_keep_alive{false};  ///< An HTTP/1.0 client that asked for it must be told.
    bool chunked{false};         ///< The body is sent chunked.
    bool hide_identity{false};   ///< Drop Server and X-Powered-By, rewrite Location.
    bool upgrade{false};         ///< 101: pass Upgrade on.
    std::string_view backend{};  ///< host:port, for Location.
    std::string_view host{};     ///< What the client called us, for Location.
    bool tls{false};
    std::string_view set_cookie{};  ///< A whole Set-Cookie value to add; empty: none.
    std::string_view hsts{};        ///< In place of the backend's; empty: that is passed on.
};
/// Appends the head for the client. Always HTTP/1.1 (RFC 9110 §2.5 and 6.2).
void write_response_head(const ResponseHead& head, const BodyFraming& framing,
                         const ResponseEdits& edits, Buffer& out);

}  // namespace rproxy::http
