#pragma once

#include "net/event_loop.h"
#include "net/socket.h"
#include "net/stream.h"
#include "proxy/choice.h"
#include "proxy/exchange.h"
#include "proxy/handshake.h"
#include "runtime/plan.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace rproxy::proxy {

class Proxy;

/// What a client connection has of the listener it came by.
struct ClientListener {
    std::shared_ptr<runtime::ListenerState> state;
    std::uint16_t port{0};
    bool proxy_protocol{false};  ///< Trusted peers begin with a PROXY header.
    std::shared_ptr<const runtime::ListenerRules> rules;  ///< Null: plain HTTP.
};

/// One client connection: idle, in an Exchange, or lingering before its close. Small while idle:
/// buffers and parsers belong to the Exchange, which it has only while a request is about. It does
/// the I/O's bookkeeping and decides nothing about requests. Worker thread only; owned by its
/// Proxy.
class Session final : public net::EventHandler, public net::Disposable {
public:
    Session(Proxy& proxy, net::Accepted accepted, ClientListener listener);
    ~Session() override;

    /// Registers with the loop and waits for the first request, or before it for a TLS handshake.
    /// False: already closed.
    bool start();
    /// The next step of the handshake; called once per turn at most (Proxy::hand_shake).
    void hand_shake();
    /// Goes on until something must be waited for.
    void drive();
    /// Ends an idle connection (draining); one in an exchange ends after it.
    void close_if_idle();
    void close();

    net::Stream& stream() { return stream_; }
    /// The socket's peer, or whom its PROXY header named.
    const net::Peer& peer() const { return peer_; }
    runtime::ListenerState& listener() { return *listener_.state; }
    std::uint16_t listener_port() const { return listener_.port; }
    /// The first bytes must be a PROXY header; until then nothing is a request.
    bool awaits_proxy_header() const { return listener_.proxy_protocol; }
    /// The header was there, and named `source` (if anybody).
    void take_proxy_header(const std::optional<net::Peer>& source);
    /// It is not what it must be, or did not come in time; the caller closes.
    void count_bad_proxy_header();
    /// What a write that would block leaves behind: the loop tells when there is room again.
    void watch_writable();
    /// Deadlines that the Exchange sets for the client's side; on_timer tells it.
    void arm(MonotonicTime deadline);
    void disarm();
    std::unique_ptr<PinnedBackends>& pinned() { return pinned_; }

    /// The client came by TLS.
    bool secured() const { return stream_.layer() != nullptr; }
    /// What its listener has beyond plain HTTP; null: nothing.
    const runtime::ListenerRules* rules() const { return listener_.rules.get(); }
    std::string_view hsts() const {
        return rules() == nullptr ? std::string_view{} : std::string_view{rules()->hsts};
    }
    /// The request field for subject(), and the subject of the client's certificate; empty: none.
    std::string_view subject_field() const {
        return rules() == nullptr ? std::string_view{} : std::string_view{rules()->subject_field};
    }
    std::string_view subject() const {
        return subject_ ? std::string_view{*subject_} : std::string_view{};
    }

    bool readable{false};
    bool writable{true};
    bool peer_closed{false};  ///< FIN seen.
    bool reset{false};        ///< The connection is dead in both directions.

private:
    friend class Proxy;
    void on_event(std::uint32_t events) override;
    void on_timer();
    bool goes_on(Exchange::Next next);
    bool begin_handshake();
    void finish_handshake(Handshake::Outcome outcome);
    void wait_idle();
    void linger();
    void drain_input();

    Proxy& proxy_;
    net::Stream stream_;
    net::Peer peer_;
    ClientListener listener_;
    std::unique_ptr<Exchange> exchange_;
    std::unique_ptr<PinnedBackends> pinned_;
    std::unique_ptr<Handshake> handshake_;
    std::unique_ptr<const std::string> subject_;
    net::MemberTimer<Session, &Session::on_timer> timer_{*this};
    Session* previous_{nullptr};  // in the Proxy's list
    Session* next_{nullptr};
    bool watching_writable_{false};
    bool lingering_{false};
    bool closed_{false};
    bool driving_{false};
    std::uint32_t lingered_bytes_{0};
};

}  // namespace rproxy::proxy
