#pragma once

#include <cstdint>
#include <string>

namespace rproxy::tls {
class Session;
}

namespace rproxy::proxy {

class Proxy;
class Session;

/// What comes before the first request of a client that speaks TLS: a PROXY header where one is
/// expected, then the handshake. Counted against the listener's limit while it lives. Worker thread
/// only; owned by its Session.
class Handshake {
public:
    enum class Outcome : std::uint8_t {
        Waiting,   ///< For the client.
        Done,      ///< Requests may come.
        Gone,      ///< The client left without a word of TLS, as balancers' checks do.
        Failed,    ///< The client is not, or does not speak, what is asked for.
        BadProxy,  ///< The PROXY header is not one.
        TimedOut,
    };

    Handshake(Session& session, Proxy& proxy);
    ~Handshake();
    Handshake(const Handshake&) = delete;
    Handshake& operator=(const Handshake&) = delete;

    /// Goes on without waiting, and at most by one flight: one key exchange and one signature.
    Outcome advance();
    /// Counts and logs how it ended.
    void report(Outcome outcome);
    /// After Failed: says in plain HTTP that this port speaks TLS, to a client that does not.
    /// False: it did not speak plain HTTP either.
    bool answer_plain_http();
    /// After Done: bytes were read beyond the handshake.
    bool more_to_read() const { return more_; }
    /// After Done: who the client proved to be; empty: it showed no certificate.
    std::string subject() const;

    bool queued{false};  ///< For its next step (Proxy::queue_handshake).

private:
    Outcome read_proxy_header();
    Outcome begin();

    Session& session_;
    Proxy& proxy_;
    tls::Session* tls_{nullptr};  // the session's stream owns it
    bool more_{false};
};

}  // namespace rproxy::proxy
