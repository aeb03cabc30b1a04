#include "tls.h"

#include "arguments.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <utility>
#include <vector>

namespace rproxy::bench {

namespace {

struct Delete {
    void operator()(SSL_CTX* object) const { SSL_CTX_free(object); }
    void operator()(SSL* object) const { SSL_free(object); }
    void operator()(SSL_SESSION* object) const { SSL_SESSION_free(object); }
};
template <typename T>
using Ptr = std::unique_ptr<T, Delete>;

}  // namespace

struct TlsClient::Parts {
    Ptr<SSL_CTX> context{SSL_CTX_new(TLS_client_method())};
    std::vector<Ptr<SSL_SESSION>> sessions;
    bool resumes{false};

    static int keep(SSL* ssl, SSL_SESSION* session) {
        auto& parts = *static_cast<Parts*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
        constexpr std::size_t kMost = 4096;
        if (parts.sessions.size() >= kMost) {
            return 0;
        }
        parts.sessions.emplace_back(session);
        return 1;
    }
};

struct TlsClient::Session::Parts {
    Ptr<SSL> ssl;
};

TlsClient::TlsClient(bool resumes) : parts_(std::make_unique<Parts>()) {
    parts_->resumes = resumes;
    SSL_CTX* const context = parts_->context.get();
    SSL_CTX_set_app_data(context, parts_.get());
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    // What all proxies prefer is what is measured.
    SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256");
    SSL_CTX_set1_groups_list(context, "X25519");
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    if (resumes) {
        SSL_CTX_sess_set_new_cb(context, Parts::keep);
    }
}

TlsClient::~TlsClient() = default;

std::unique_ptr<TlsClient::Session> TlsClient::begin(const Descriptor& socket) {
    auto parts = std::make_unique<Session::Parts>();
    parts->ssl.reset(SSL_new(parts_->context.get()));
    SSL_set_fd(parts->ssl.get(), socket.get());
    if (!parts_->sessions.empty()) {
        SSL_set_session(parts->ssl.get(), parts_->sessions.back().get());
        parts_->sessions.pop_back();
    }
    SSL_set_connect_state(parts->ssl.get());
    return std::make_unique<Session>(std::move(parts));
}

TlsClient::Session::Session(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

TlsClient::Session::~Session() {
    SSL_set_shutdown(parts_->ssl.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
}

namespace {

Moved outcome(SSL* ssl, int result) {
    if (result > 0) {
        return {Transfer::Done, static_cast<std::size_t>(result)};
    }
    const int error = SSL_get_error(ssl, result);
    ERR_clear_error();
    const bool later = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
    return {later ? Transfer::Later : Transfer::Closed, 0};
}

}  // namespace

Moved TlsClient::Session::send(std::span<const char> bytes) {
    SSL* const ssl = parts_->ssl.get();
    return outcome(ssl, SSL_write(ssl, bytes.data(), static_cast<int>(bytes.size())));
}

Moved TlsClient::Session::receive(std::span<char> into) {
    SSL* const ssl = parts_->ssl.get();
    return outcome(ssl, SSL_read(ssl, into.data(), static_cast<int>(into.size())));
}

bool TlsClient::Session::has_more() const {
    return SSL_has_pending(parts_->ssl.get()) == 1;
}

bool TlsClient::Session::resumed() const {
    return SSL_session_reused(parts_->ssl.get()) == 1;
}

}  // namespace rproxy::bench
