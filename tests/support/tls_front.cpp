#include "support/tls_front.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <optional>
#include <string_view>

namespace rproxy::test {

namespace {

struct Delete {
    void operator()(BIO* object) const { BIO_free(object); }
    void operator()(SSL* object) const { SSL_free(object); }
    void operator()(SSL_CTX* object) const { SSL_CTX_free(object); }
    void operator()(X509* object) const { X509_free(object); }
    void operator()(EVP_PKEY* object) const { EVP_PKEY_free(object); }
};
template <typename T>
using Ptr = std::unique_ptr<T, Delete>;

Ptr<BIO> memory(const std::string& text) {
    return Ptr<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

constexpr int kTurn = 50;  // milliseconds between looks at whether to stop

/// Moves what is there from one side to the other; false: one of them has ended.
bool pass_on(SSL* ssl, const Socket& plain, const std::array<pollfd, 2>& ready) {
    std::array<char, 16384> bytes{};
    while ((ready[0].revents != 0 || SSL_pending(ssl) != 0)) {
        const int got = SSL_read(ssl, bytes.data(), bytes.size());
        if (got <= 0) {
            return false;
        }
        plain.send({bytes.data(), static_cast<std::size_t>(got)});
        if (SSL_pending(ssl) == 0) {
            break;
        }
    }
    if (ready[1].revents != 0) {
        const auto got = ::recv(plain.fd(), bytes.data(), bytes.size(), 0);
        return got > 0 && SSL_write(ssl, bytes.data(), static_cast<int>(got)) > 0;
    }
    return true;
}

std::string subject_of(const SSL* ssl) {
    const X509* const certificate = SSL_get0_peer_certificate(ssl);
    if (certificate == nullptr) {
        return {};
    }
    const Ptr<BIO> out(BIO_new(BIO_s_mem()));
    X509_NAME_print_ex(out.get(), X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
    char* text = nullptr;
    const long size = BIO_get_mem_data(out.get(), &text);
    return {text, static_cast<std::size_t>(size)};
}

}  // namespace

struct TlsFront::Context {
    Ptr<SSL_CTX> ssl{SSL_CTX_new(TLS_server_method())};
};

TlsFront::TlsFront(std::uint16_t backend, const CertificatePair& pair, const Options& options)
    : context_(std::make_unique<Context>()),
      backend_(backend),
      listener_(Socket::listen_tcp(0)),
      port_(listener_.local_port()) {
    SSL_CTX* const context = context_->ssl.get();
    constexpr std::array<unsigned char, 4> kContext{'t', 'e', 's', 't'};
    SSL_CTX_set_session_id_context(context, kContext.data(), kContext.size());
    SSL_CTX_set_security_level(context, 0);
    const auto cert_in = memory(pair.cert);
    const Ptr<X509> leaf(PEM_read_bio_X509(cert_in.get(), nullptr, nullptr, nullptr));
    SSL_CTX_use_certificate(context, leaf.get());
    while (X509* const next = PEM_read_bio_X509(cert_in.get(), nullptr, nullptr, nullptr)) {
        SSL_CTX_add0_chain_cert(context, next);
    }
    ERR_clear_error();
    const Ptr<EVP_PKEY> key(
        PEM_read_bio_PrivateKey(memory(pair.key).get(), nullptr, nullptr, nullptr));
    SSL_CTX_use_PrivateKey(context, key.get());
    if (!options.client_ca.empty()) {
        const Ptr<X509> ca(
            PEM_read_bio_X509(memory(options.client_ca).get(), nullptr, nullptr, nullptr));
        X509_STORE_add_cert(SSL_CTX_get_cert_store(context), ca.get());
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    }
    if (options.tls12) {
        SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
    }
    acceptor_ = std::thread([this] { accept_all(); });
}

TlsFront::~TlsFront() {
    stopping_ = true;
    acceptor_.join();
}

std::vector<TlsFront::Seen> TlsFront::seen() const {
    const MutexLock lock(mutex_);
    return seen_;
}

void TlsFront::accept_all() {
    std::list<std::thread> threads;
    while (!stopping_) {
        pollfd waiting{listener_.fd(), POLLIN, 0};
        if (::poll(&waiting, 1, kTurn) == 1) {
            const int fd = ::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC);
            threads.emplace_back([this, fd] { serve(fd); });
        }
    }
    for (auto& thread : threads) {
        thread.join();
    }
}

void TlsFront::serve(int fd) {
    const Socket socket(fd);
    const timeval patience{10, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    const Ptr<SSL> ssl(SSL_new(context_->ssl.get()));
    SSL_set_fd(ssl.get(), fd);
    if (SSL_accept(ssl.get()) != 1) {
        ERR_clear_error();
        return;
    }
    {
        const char* const name = SSL_get_servername(ssl.get(), TLSEXT_NAMETYPE_host_name);
        const MutexLock lock(mutex_);
        seen_.push_back({name == nullptr ? "" : name, subject_of(ssl.get()),
                         SSL_session_reused(ssl.get()) == 1});
    }
    const Socket plain = Socket::connect_tcp("127.0.0.1", backend_);
    bool goes_on = true;
    while (goes_on && !stopping_) {
        std::array<pollfd, 2> ready{{{fd, POLLIN, 0}, {plain.fd(), POLLIN, 0}}};
        ::poll(ready.data(), ready.size(), kTurn);
        goes_on = pass_on(ssl.get(), plain, ready);
    }
    SSL_shutdown(ssl.get());
    ERR_clear_error();
}

}  // namespace rproxy::test
