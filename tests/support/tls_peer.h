#pragma once

#include "support/raw_client.h"
#include "support/socket.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rproxy::test {

/// How a TlsClient shakes hands.
struct TlsOptions {
    std::string server_name{"localhost"};  ///< SNI; empty: none. Not verified unless `ca` is.
    std::string ca{};                      ///< PEM; empty: whoever answers is good.
    std::string cert{};                    ///< PEM, with `key`: who we are.
    std::string key{};
    int version{0};           ///< TLS1_2_VERSION …; 0: whatever comes about.
    std::string ciphers{};    ///< For TLS 1.2.
    std::string protocols{};  ///< ALPN, in wire form (`\x02h2`).
    bool wants_staple{false};
    std::string proxy_header{};  ///< Sent in the clear, before all.
};

/// A TLS client of OpenSSL's own making over a blocking socket. One thread.
class TlsClient {
public:
    /// Connects to 127.0.0.1 and shakes hands; ok() tells whether that worked.
    explicit TlsClient(std::uint16_t port, const TlsOptions& options = {},
                       const TlsClient* resume = nullptr);
    ~TlsClient();
    TlsClient(const TlsClient&) = delete;
    TlsClient& operator=(const TlsClient&) = delete;
    TlsClient(TlsClient&&) = delete;
    TlsClient& operator=(TlsClient&&) = delete;

    bool ok() const;
    /// Why not, in OpenSSL's words; `tlsv13 alert certificate required` and the like.
    const std::string& problem() const;

    bool send(std::string_view bytes);
    /// One whole response; nothing if the peer ends or breaks before.
    std::optional<RawClient::Response> response();
    std::optional<RawClient::Response> exchange(std::string_view request) {
        send(request);
        return response();
    }
    /// So many bytes; fewer if the peer ends before.
    std::string read(std::size_t size);
    /// All bytes until the end; `clean_end()` tells how that was said.
    std::string read_to_end();
    /// The peer said close_notify.
    bool clean_end() const;
    void close_notify();
    /// A key update that asks the peer for one (RFC 8446 §4.6.3).
    bool update_keys();
    /// The sizes of the records read since the last call.
    std::vector<std::size_t> record_sizes();

    std::string version() const;
    std::string cipher() const;
    std::string protocol() const;
    bool resumed() const;
    /// The subject of the certificate shown, `CN=…`.
    std::string subject() const;
    std::string key_kind() const;  ///< `RSA`, `EC` …
    std::string staple() const;    ///< DER; empty: none.
    const Socket& socket() const;

private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

}  // namespace rproxy::test
