#pragma once

#include "net/fd.h"
#include "runtime/plan.h"
#include "support/temp_dir.h"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

/// A client, a Proxy and a backend on one event loop and one thread, joined by unix sockets: what
/// goes in on either side is scripted, what comes out is kept.
namespace rproxy::fuzz {

struct Script {
    std::string_view request;    ///< All that the client sends.
    std::string_view response;   ///< What the first request that reaches the backend is answered.
    std::size_t request_piece;   ///< The client sends so much at a time.
    std::size_t response_piece;  ///< As does the backend.
    bool eager;   ///< The backend answers with the first byte, else when nothing else happens.
    bool closes;  ///< The backend closes after its first answer.
};

struct Transcript {
    std::vector<std::string> to_backend;  ///< By connection, in the order of their opening.
    std::string to_client;
    bool client_closed{false};  ///< The proxy ended the client's connection.
};

/// What every request after the first is answered.
inline constexpr std::string_view kLaterAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

class ProxyHarness {
public:
    ProxyHarness();
    /// With a Proxy of its own, so that no run depends on those before.
    Transcript run(const Script& script);

private:
    test::TempDir dir_;
    net::Fd listener_;
    std::shared_ptr<const runtime::Plan> plan_;
    std::shared_ptr<runtime::ListenerState> client_listener_;
};

}  // namespace rproxy::fuzz
