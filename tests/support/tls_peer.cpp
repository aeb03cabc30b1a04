#include "support/tls_peer.h"

#include "support/http_text.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <stdexcept>
#include <vector>

namespace rproxy::test {

namespace {

struct Delete {
    void operator()(BIO* object) const { BIO_free(object); }
    void operator()(SSL* object) const { SSL_free(object); }
    void operator()(SSL_CTX* object) const { SSL_CTX_free(object); }
    void operator()(SSL_SESSION* object) const { SSL_SESSION_free(object); }
    void operator()(X509* object) const { X509_free(object); }
    void operator()(EVP_PKEY* object) const { EVP_PKEY_free(object); }
};
template <typename T>
using Ptr = std::unique_ptr<T, Delete>;

Ptr<BIO> memory(const std::string& text) {
    return Ptr<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

Ptr<X509> certificate_of(const std::string& pem) {
    Ptr<X509> certificate(PEM_read_bio_X509(memory(pem).get(), nullptr, nullptr, nullptr));
    if (!certificate) {
        throw std::runtime_error("not a certificate: " + pem);
    }
    return certificate;
}

}  // namespace

struct TlsClient::Parts {
    Socket socket;
    Ptr<SSL_CTX> context;
    std::vector<std::size_t> records;
    Ptr<SSL_SESSION> session;
    Ptr<SSL> ssl;
    bool ok{false};
    std::string problem;
    std::string received;

    static Parts& of(const SSL* ssl) { return *static_cast<Parts*>(SSL_get_app_data(ssl)); }
    static int keep_session(SSL* ssl, SSL_SESSION* session) {
        of(ssl).session.reset(session);
        return 1;
    }
    static void on_message(int writing, int /*version*/, int type, const void* bytes,
                           std::size_t size, SSL* /*ssl*/, void* parts) {
        if (writing == 0 && type == SSL3_RT_HEADER && size == 5) {
            const auto* const header = static_cast<const unsigned char*>(bytes);
            static_cast<Parts*>(parts)->records.push_back((std::size_t{header[3]} << 8U) |
                                                          header[4]);
        }
    }
    bool fail() {
        if (problem.empty()) {
            const auto code = ERR_peek_last_error();
            const char* const reason = ERR_reason_error_string(code);
            problem = reason == nullptr ? "closed" : reason;
        }
        ERR_clear_error();
        return false;
    }
    bool read_more() {
        std::array<char, 20000> bytes{};
        const int got = SSL_read(ssl.get(), bytes.data(), bytes.size());
        if (got <= 0) {
            return fail();
        }
        received.append(bytes.data(), static_cast<std::size_t>(got));
        return true;
    }
};

TlsClient::TlsClient(std::uint16_t port, const TlsOptions& options, const TlsClient* resume)
    : parts_(std::make_unique<Parts>()) {
    Parts& p = *parts_;
    p.socket = Socket::connect_tcp("127.0.0.1", port);
    const timeval patience{10, 0};
    ::setsockopt(p.socket.fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    p.context.reset(SSL_CTX_new(TLS_client_method()));
    SSL_CTX* const context = p.context.get();
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, Parts::keep_session);
    SSL_CTX_set_msg_callback(context, Parts::on_message);
    SSL_CTX_set_security_level(context, 0);
    if (options.version != 0) {
        SSL_CTX_set_min_proto_version(context, options.version);
        SSL_CTX_set_max_proto_version(context, options.version);
    }
    if (!options.ciphers.empty()) {
        SSL_CTX_set_cipher_list(context, options.ciphers.c_str());
    }
    if (!options.ca.empty()) {
        X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate_of(options.ca).get());
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    }
    if (!options.cert.empty()) {
        SSL_CTX_use_certificate(context, certificate_of(options.cert).get());
        const Ptr<EVP_PKEY> key(
            PEM_read_bio_PrivateKey(memory(options.key).get(), nullptr, nullptr, nullptr));
        SSL_CTX_use_PrivateKey(context, key.get());
    }
    p.socket.send(options.proxy_header);
    p.ssl.reset(SSL_new(context));
    SSL* const ssl = p.ssl.get();
    SSL_set_app_data(ssl, &p);
    SSL_set_msg_callback_arg(ssl, &p);
    SSL_set_fd(ssl, p.socket.fd());
    if (!options.server_name.empty()) {
        std::string name = options.server_name;
        SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name.data());
        if (!options.ca.empty()) {
            SSL_set1_host(ssl, name.c_str());
        }
    }
    if (!options.protocols.empty()) {
        SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>(options.protocols.data()),
                            static_cast<unsigned>(options.protocols.size()));
    }
    if (options.wants_staple) {
        SSL_set_tlsext_status_type(ssl, TLSEXT_STATUSTYPE_ocsp);
    }
    if (resume != nullptr && resume->parts_->session) {
        SSL_set_session(ssl, resume->parts_->session.get());
    }
    ERR_clear_error();
    p.ok = SSL_connect(ssl) == 1 || p.fail();
    if (p.ok && SSL_version(ssl) == TLS1_3_VERSION && !options.cert.empty()) {
        // Only now the server looks at our certificate; a refusal comes instead of an answer.
        p.problem.clear();
    }
}

TlsClient::~TlsClient() {
    if (parts_->ssl) {
        SSL_set_shutdown(parts_->ssl.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    }
}

bool TlsClient::ok() const {
    return parts_->ok;
}

const std::string& TlsClient::problem() const {
    return parts_->problem;
}

bool TlsClient::send(std::string_view bytes) {
    return bytes.empty() ||
           SSL_write(parts_->ssl.get(), bytes.data(), static_cast<int>(bytes.size())) > 0 ||
           parts_->fail();
}

std::optional<RawClient::Response> TlsClient::response() {
    auto& received = parts_->received;
    auto head = head_size(received);
    while (!head) {
        if (!parts_->read_more()) {
            return std::nullopt;
        }
        head = head_size(received);
    }
    RawClient::Response response;
    response.head = received.substr(0, *head);
    response.status = std::atoi(response.head.c_str() + 9);  // NOLINT(cert-err34-c)
    std::size_t body = 0;
    if (const auto length = response.header("Content-Length")) {
        body = std::strtoull(length->c_str(), nullptr, 10);
        while (received.size() < *head + body) {
            if (!parts_->read_more()) {
                return std::nullopt;
            }
        }
        response.body = received.substr(*head, body);
    } else if (response.header("Transfer-Encoding")) {
        ChunkScanner chunks;
        auto size = chunks.scan(std::string_view(received).substr(*head));
        while (!size) {
            if (!parts_->read_more()) {
                return std::nullopt;
            }
            size = chunks.scan(std::string_view(received).substr(*head));
        }
        body = *size;
        response.body = chunks.content();
    }
    response.raw = received.substr(0, *head + body);
    received.erase(0, response.raw.size());
    return response;
}

std::string TlsClient::read(std::size_t size) {
    while (parts_->received.size() < size && parts_->read_more()) {
    }
    std::string bytes = parts_->received.substr(0, size);
    parts_->received.erase(0, bytes.size());
    return bytes;
}

std::string TlsClient::read_to_end() {
    while (parts_->read_more()) {
    }
    return std::exchange(parts_->received, {});
}

bool TlsClient::clean_end() const {
    return (SSL_get_shutdown(parts_->ssl.get()) & SSL_RECEIVED_SHUTDOWN) != 0;
}

void TlsClient::close_notify() {
    SSL_shutdown(parts_->ssl.get());
}

bool TlsClient::update_keys() {
    return SSL_key_update(parts_->ssl.get(), SSL_KEY_UPDATE_REQUESTED) == 1 &&
           SSL_do_handshake(parts_->ssl.get()) == 1;
}

std::vector<std::size_t> TlsClient::record_sizes() {
    return std::exchange(parts_->records, {});
}

std::string TlsClient::version() const {
    return SSL_get_version(parts_->ssl.get());
}

std::string TlsClient::cipher() const {
    return SSL_get_cipher_name(parts_->ssl.get());
}

std::string TlsClient::protocol() const {
    const unsigned char* name = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(parts_->ssl.get(), &name, &size);
    return {reinterpret_cast<const char*>(name), size};
}

bool TlsClient::resumed() const {
    return SSL_session_reused(parts_->ssl.get()) == 1;
}

std::string TlsClient::subject() const {
    const X509* const shown = SSL_get0_peer_certificate(parts_->ssl.get());
    const Ptr<BIO> out(BIO_new(BIO_s_mem()));
    if (shown != nullptr) {
        X509_NAME_print_ex(out.get(), X509_get_subject_name(shown), 0, XN_FLAG_RFC2253);
    }
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(out.get(), &bytes);
    return {bytes, static_cast<std::size_t>(size)};
}

std::string TlsClient::key_kind() const {
    const X509* const shown = SSL_get0_peer_certificate(parts_->ssl.get());
    const EVP_PKEY* const key = shown == nullptr ? nullptr : X509_get0_pubkey(shown);
    return key == nullptr ? "" : EVP_PKEY_get0_type_name(key);
}

std::string TlsClient::staple() const {
    const unsigned char* bytes = nullptr;
    const long size = SSL_get_tlsext_status_ocsp_resp(parts_->ssl.get(), &bytes);
    return size > 0
               ? std::string(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size))
               : std::string();
}

const Socket& TlsClient::socket() const {
    return parts_->socket;
}

}  // namespace rproxy::test
