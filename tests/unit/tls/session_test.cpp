#include "tls/session.h"

#include "config/snapshot.h"
#include "net/event_loop.h"
#include "support/certificates.h"
#include "support/temp_dir.h"
#include "tls/material.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <array>
#include <memory>
#include <string>

namespace rproxy::tls {
namespace {

using Status = net::IoResult::Status;

/// A session of ours and a client of OpenSSL's making at the two ends of a small socket, both in
/// this thread and neither waiting.
class Pair {
public:
    Pair() {
        std::array<int, 2> ends{};
        ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data());
        ours_ = net::Fd(ends[0]);
        theirs_ = net::Fd(ends[1]);
        const int small = 8192;
        ::setsockopt(ours_.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
        const auto pair = test::TestAuthority().issue();
        config::Snapshot snapshot;
        snapshot.listeners.resize(1);
        snapshot.listeners[0].tls.emplace();
        snapshot.listeners[0].tls->certificates = {
            {dir_.write("a.crt", pair.cert), dir_.write("a.key", pair.key), {}}};
        const auto material =
            load_material(snapshot, {.now = std::chrono::system_clock::now()}).value();
        io_.set_ticket_keys(TicketKeys::make());
        session_ = material.listeners[0]->accept(io_, ours_.get());
        context_.reset(SSL_CTX_new(TLS_client_method()));
        client_.reset(SSL_new(context_.get()));
        SSL_set_fd(client_.get(), theirs_.get());
        for (int round = 0; round < 10 && SSL_connect(client_.get()) != 1; ++round) {
            session_->handshake();
        }
        session_->handshake();
    }

    Session& session() { return *session_; }
    SSL* client() { return client_.get(); }

private:
    struct Delete {
        void operator()(SSL* object) const { SSL_free(object); }
        void operator()(SSL_CTX* object) const { SSL_CTX_free(object); }
    };
    test::TempDir dir_;
    net::EventLoop loop_;
    Io io_{loop_};
    net::Fd ours_;
    net::Fd theirs_;
    std::unique_ptr<Session> session_;
    std::unique_ptr<SSL_CTX, Delete> context_;
    std::unique_ptr<SSL, Delete> client_;
};

TEST(TlsSession, AnswersAKeyUpdateAndReadsOn) {
    Pair pair;
    SSL_key_update(pair.client(), SSL_KEY_UPDATE_REQUESTED);
    ASSERT_EQ(SSL_write(pair.client(), "hello", 5), 5);
    std::array<char, 100> bytes{};
    const auto got = pair.session().read(bytes);
    ASSERT_EQ(got.status, Status::Ok);
    EXPECT_EQ(std::string_view(bytes.data(), got.bytes), "hello");
    EXPECT_EQ(pair.session().read(bytes).status, Status::WouldBlock);
}

TEST(TlsSession, FailsAPeerThatAsksOnAndOnAndTakesNothing) {
    Pair pair;
    std::array<char, 100> bytes{};
    auto got = pair.session().read(bytes);
    constexpr int kMany = 60'000;  // answers of 27 bytes
    int updates = 0;
    while (updates < kMany && got.status == Status::WouldBlock) {
        SSL_key_update(pair.client(), SSL_KEY_UPDATE_REQUESTED);
        SSL_do_handshake(pair.client());
        got = pair.session().read(bytes);
        ++updates;
    }
    EXPECT_EQ(got.status, Status::Failed) << updates;
    EXPECT_EQ(pair.session().problem(), "asks for more than it takes");
}

}  // namespace
}  // namespace rproxy::tls
