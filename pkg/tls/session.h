#pragma once

#include "net/stream.h"
#include "tls/io.h"
#include "tls/record_size.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

struct ssl_st;
struct bio_st;
struct bio_method_st;

namespace rproxy::tls {

enum class Version : std::uint8_t { Unknown, Tls12, Tls13 };

/// TLS on one non-blocking socket, either side of it. Reads ask the socket once for as much as it
/// has and stop when it is empty; all records of a write leave in one send (docs/adr/0011). OpenSSL
/// never waits for the socket to take something: what it would not take stays here, and `write`
/// tells of the last byte only once all is sent.
///
/// Made by ServerContext::accept() and ClientContext::connect(). The thread of its Io only.
class Session final : public net::SecureLayer {
public:
    /// Keeps what the handshake is done with. Takes `ssl`.
    Session(Io& io, int fd, ssl_st* ssl, std::shared_ptr<const void> context);
    ~Session() override;
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    Session(Session&&) = delete;
    Session& operator=(Session&&) = delete;

    net::IoResult handshake() override;
    net::IoResult read(std::span<char> into) override;
    net::IoResult write(std::span<const iovec> pieces) override;
    bool has_output() const override { return !unsent_.empty(); }
    void end_output() override;
    std::string_view problem() const override { return problem_; }

    // Once the handshake is done:
    Version version() const;
    /// A session of before went on: no certificates were exchanged.
    bool resumed() const;
    /// Who the peer proved to be (RFC 2253); empty: it showed no certificate.
    std::string peer_subject() const;
    /// The protocol agreed on (ALPN); empty: none.
    std::string_view protocol() const;
    /// The name the client asked for; empty: none.
    std::string_view server_name() const;
    /// Nothing has come from the peer yet.
    bool silent() const { return handshake_in_ == 0; }
    /// After a failed handshake: the first bytes were those of a request in plain HTTP.
    bool got_plain_http() const { return plain_http_; }

    Io& io() { return io_; }
    ssl_st* ssl() { return ssl_; }
    static Session& of(const ssl_st* ssl);

private:
    static const bio_method_st* bio_method();
    static int bio_read(bio_st* bio, char* out, std::size_t size, std::size_t* got);
    static int bio_write(bio_st* bio, const char* bytes, std::size_t size, std::size_t* written);
    static long bio_control(bio_st* bio, int command, long number, void* argument);

    net::IoResult failed(int result);
    bool send_records();
    net::IoResult send_unsent();
    bool encrypt(std::span<const char> bytes);
    std::span<const char> take_record(std::span<const iovec>& pieces, std::size_t& skip);
    std::size_t encrypt_all(std::span<const iovec> pieces, std::size_t skip);

    Io& io_;
    const int fd_;
    ssl_st* const ssl_;
    const std::shared_ptr<const void> context_;  // its callbacks and their data
    RecordSize record_size_;
    std::vector<char> unsent_;     // what the socket did not take, already encrypted
    std::size_t withheld_{0};      // plain bytes of it that write() has not told of
    std::size_t handshake_in_{0};  // bytes read before the handshake was done
    std::string problem_;
    int error_{0};         // errno of a failed send or receive
    bool emptied_{false};  // the last receive took all that was there
    bool drained_{false};  // so another one would find nothing
    bool at_end_{false};   // FIN
    bool established_{false};
    bool dead_{false};  // nothing can be written any more, not even an alert
    bool plain_http_{false};
};

}  // namespace rproxy::tls
