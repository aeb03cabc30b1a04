#pragma once

#include "sockets.h"

#include <cstddef>
#include <memory>
#include <span>

namespace rproxy::bench {

/// What the client's TLS connections share: settings and the sessions that servers offered.
class TlsClient {
public:
    /// `resumes`: connections go on with sessions of before.
    explicit TlsClient(bool resumes);
    ~TlsClient();
    TlsClient(const TlsClient&) = delete;
    TlsClient& operator=(const TlsClient&) = delete;

    class Session;
    /// The handshake is part of the first send().
    std::unique_ptr<Session> begin(const Descriptor& socket);

private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

/// One connection.
class TlsClient::Session {
public:
    struct Parts;
    explicit Session(std::unique_ptr<Parts> parts);
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    Moved send(std::span<const char> bytes);
    Moved receive(std::span<char> into);
    /// Bytes wait here that the descriptor will not tell of.
    bool has_more() const;
    /// An earlier session went on.
    bool resumed() const;

private:
    std::unique_ptr<Parts> parts_;
};

}  // namespace rproxy::bench
