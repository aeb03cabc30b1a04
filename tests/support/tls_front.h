#pragma once

#include "base/thread_annotations.h"
#include "support/certificates.h"
#include "support/socket.h"

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace rproxy::test {

/// Makes a TLS backend of a plain one: ends TLS on a port of its own and passes the bytes on. Any
/// thread may ask.
class TlsFront {
public:
    struct Options {
        std::string client_ca{};  ///< PEM; not empty: clients must prove themselves to it.
        bool tls12{false};        ///< Not more than that.
    };
    /// What one client showed in its handshake.
    struct Seen {
        std::string server_name;
        std::string subject;
        bool resumed{false};
        friend bool operator==(const Seen&, const Seen&) = default;
    };

    TlsFront(std::uint16_t backend, CertificatePair pair) : TlsFront(backend, pair, Options{}) {}
    TlsFront(std::uint16_t backend, const CertificatePair& pair, const Options& options);
    ~TlsFront();
    TlsFront(const TlsFront&) = delete;
    TlsFront& operator=(const TlsFront&) = delete;
    TlsFront(TlsFront&&) = delete;
    TlsFront& operator=(TlsFront&&) = delete;

    std::uint16_t port() const { return port_; }
    std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
    /// Of all handshakes that went well, in their order.
    std::vector<Seen> seen() const;

private:
    struct Context;
    void accept_all();
    void serve(int fd);

    std::unique_ptr<Context> context_;
    const std::uint16_t backend_;
    Socket listener_;
    std::uint16_t port_;
    std::atomic<bool> stopping_{false};
    std::thread acceptor_;
    mutable Mutex mutex_;
    std::vector<Seen> seen_ RPROXY_GUARDED_BY(mutex_);
};

}  // namespace rproxy::test
