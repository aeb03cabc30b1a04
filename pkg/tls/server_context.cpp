#include "tls/server_context.h"

#include "base/hash.h"
#include "tls/certificate.h"
#include "tls/certificate_choice.h"
#include "tls/context.h"
#include "tls/session.h"

#include <openssl/core_names.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <span>
#include <utility>

namespace rproxy::tls {

namespace {

/// In the order of our preference; `h2` will stand before it.
constexpr auto kProtocols =
    std::to_array<unsigned char>({8, 'h', 't', 't', 'p', '/', '1', '.', '1'});

}  // namespace

struct ServerContext::Parts {
    struct Staple {
        const X509* leaf{nullptr};
        std::vector<unsigned char> response;
        WallTime until;
    };

    explicit Parts(CertificateChoice the_choice) : choice(std::move(the_choice)) {}

    CertificateChoice choice;
    std::vector<Openssl<SSL_CTX>> contexts;  // one for each set of the choice
    std::vector<Certificate> certificates;
    std::vector<Staple> staples;
};

/// What OpenSSL asks during a handshake; on the worker's thread.
struct ServerContext::Callbacks {
    static const Parts& parts_of(SSL_CTX* context) {
        return *static_cast<const Parts*>(SSL_CTX_get_app_data(context));
    }

    static int choose_certificate(SSL* ssl, int* /*alert*/, void* parts) {
        const auto& mine = *static_cast<const Parts*>(parts);
        const char* const name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
        if (name == nullptr) {
            return SSL_TLSEXT_ERR_NOACK;
        }
        const std::size_t set = mine.choice.find(name);
        if (set != 0) {
            SSL_set_SSL_CTX(ssl, mine.contexts[set].get());
        }
        return SSL_TLSEXT_ERR_OK;
    }

    static int choose_protocol(SSL* /*ssl*/, const unsigned char** chosen, unsigned char* size,
                               const unsigned char* offered, unsigned offered_size,
                               void* /*unused*/) {
        const int result =
            SSL_select_next_proto(const_cast<unsigned char**>(chosen), size, kProtocols.data(),
                                  kProtocols.size(), offered, offered_size);
        // A client that speaks none of ours must hear it now (RFC 7301 §3.2).
        return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
    }

    static int staple(SSL* ssl, void* /*unused*/) {
        const auto& mine = parts_of(SSL_get_SSL_CTX(ssl));
        const X509* const leaf = SSL_get_certificate(ssl);
        for (const auto& staple : mine.staples) {
            if (staple.leaf != leaf || staple.until <= std::chrono::system_clock::now()) {
                continue;
            }
            const auto size = staple.response.size();
            void* const copy = OPENSSL_memdup(staple.response.data(), size);
            if (copy == nullptr || SSL_set_tlsext_status_ocsp_resp(ssl, copy, size) != 1) {
                OPENSSL_free(copy);
                return SSL_TLSEXT_ERR_NOACK;
            }
            return SSL_TLSEXT_ERR_OK;
        }
        return SSL_TLSEXT_ERR_NOACK;
    }

    static bool start_mac(EVP_MAC_CTX* mac, const TicketKeys::Key& key) {
        std::array<char, 7> digest{"SHA256"};
        auto bytes = key.authentication;
        const std::array<OSSL_PARAM, 3> parameters{
            OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, bytes.data(), bytes.size()),
            OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest.data(), 0),
            OSSL_PARAM_construct_end()};
        const bool set = EVP_MAC_CTX_set_params(mac, parameters.data()) == 1;
        OPENSSL_cleanse(bytes.data(), bytes.size());
        return set;
    }

    /// RFC 5077 §4. 0: no such key, a whole handshake; 2: known, but give it a new ticket.
    static int ticket_key(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                          EVP_MAC_CTX* mac, int encrypts) {
        const TicketKeys* const keys = Session::of(ssl).io().ticket_keys();
        if (keys == nullptr) {
            return 0;
        }
        if (encrypts == 1) {
            const auto& key = keys->newest();
            std::ranges::copy(key.name, name);
            const bool ready = RAND_bytes(iv, 16) == 1 &&
                               EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), nullptr,
                                                  key.encryption.data(), iv) == 1 &&
                               start_mac(mac, key);
            return ready ? 1 : -1;
        }
        const auto* const key = keys->find({name, 16});
        if (key == nullptr) {
            return 0;
        }
        if (EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), nullptr, key->encryption.data(), iv) !=
                1 ||
            !start_mac(mac, *key)) {
            return -1;
        }
        // A ticket of TLS 1.3 is for one use (RFC 8446 §C.4).
        const bool stays = key == &keys->newest() && SSL_version(ssl) != TLS1_3_VERSION;
        return stays ? 1 : 2;
    }
};

ServerContext::ServerContext(std::string identity) : identity_(std::move(identity)) {}
ServerContext::~ServerContext() = default;

namespace {

/// What OpenSSL's macros do, with a cast that the compiler may see.
template <typename Callback>
void set_callback(SSL_CTX& context, int command, Callback callback) {
    SSL_CTX_callback_ctrl(&context, command, reinterpret_cast<void (*)()>(callback));
}

std::vector<CertificateChoice::Candidate> candidates(std::span<const Certificate> certificates) {
    std::vector<CertificateChoice::Candidate> all;
    all.reserve(certificates.size());
    for (const auto& certificate : certificates) {
        all.push_back({certificate.names, static_cast<std::size_t>(certificate.kind)});
    }
    return all;
}

/// A session may go on only where the same clients would be let in: a ticket from before a change
/// of the client authorities is not accepted after it.
void set_session_id_context(SSL_CTX& context, const config::ListenerTls& config,
                            std::optional<std::string_view> client_ca) {
    std::string text = "rproxy";
    if (client_ca) {
        text += config.client_auth == config::ClientAuth::Optional ? " optional " : " required ";
        text += *client_ca;
    }
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha256(), nullptr);
    SSL_CTX_set_session_id_context(&context, digest.data(), size);
}

/// What a listener asks of all its clients. Every context needs all of it: of the one that is
/// chosen by name OpenSSL takes the ciphers of TLS 1.2, the client authorities and the protocols,
/// too.
std::expected<void, SettingProblem> set_rules(SSL_CTX& context, const config::ListenerTls& config,
                                              std::optional<std::string_view> client_ca) {
    set_versions(context, config.min_version, config.max_version);
    if (!config.ciphers.empty()) {
        if (auto set = set_ciphers(context, config.ciphers); !set) {
            return set;
        }
    }
    set_session_id_context(context, config, client_ca);
    if (!client_ca) {
        return {};
    }
    auto names = trust(context, *client_ca);
    if (!names) {
        return std::unexpected{std::move(names.error())};
    }
    SSL_CTX_set_client_CA_list(&context, names->release());
    const bool required = config.client_auth != config::ClientAuth::Optional;
    SSL_CTX_set_verify(&context, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                       nullptr);
    return {};
}

}  // namespace

std::expected<std::shared_ptr<const ServerContext>, SettingProblem> ServerContext::make(
    const config::ListenerTls& config, std::vector<Certificate> certificates,
    std::optional<std::string_view> client_ca, std::string identity) {
    std::shared_ptr<ServerContext> made(new ServerContext(std::move(identity)));
    made->parts_ = std::make_unique<Parts>(CertificateChoice(candidates(certificates)));
    Parts& parts = *made->parts_;
    for (std::size_t i = 0; i < certificates.size(); ++i) {
        auto& certificate = certificates[i];
        made->shown_.push_back({certificate.label(), config.certificates[i].cert,
                                certificate.fingerprint, std::string(to_string(certificate.kind)),
                                certificate.names, certificate.not_before, certificate.not_after});
        if (!certificate.ocsp.empty()) {
            parts.staples.push_back(
                {certificate.leaf.get(), std::move(certificate.ocsp), certificate.ocsp_until});
        }
    }
    parts.certificates = std::move(certificates);
    for (const auto& set : parts.choice.sets()) {
        auto context = make_context(TLS_server_method());
        SSL_CTX_set_app_data(context.get(), &parts);
        for (const std::size_t index : set) {
            if (auto used = use_certificate(*context, parts.certificates[index]); !used) {
                used.error().message = config.certificates[index].cert + " " + used.error().message;
                return std::unexpected{std::move(used.error())};
            }
        }
        if (auto done = set_rules(*context, config, client_ca); !done) {
            return std::unexpected{std::move(done.error())};
        }
        set_callback(*context, SSL_CTRL_SET_TLSEXT_STATUS_REQ_CB, Callbacks::staple);
        SSL_CTX_set_alpn_select_cb(context.get(), Callbacks::choose_protocol, nullptr);
        parts.contexts.push_back(std::move(context));
    }
    // Asked before another context is chosen, or always of the one that a connection began with.
    SSL_CTX& first = *parts.contexts.front();
    set_callback(first, SSL_CTRL_SET_TLSEXT_SERVERNAME_CB, Callbacks::choose_certificate);
    SSL_CTX_set_tlsext_servername_arg(&first, &parts);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(&first, Callbacks::ticket_key);
    SSL_CTX_set_session_cache_mode(&first, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(&first, std::chrono::seconds(kTicketLifetime).count());
    SSL_CTX_set_max_early_data(&first, 0);  // a request in it could be replayed (RFC 8446 §8)
    return made;
}

std::unique_ptr<Session> ServerContext::accept(Io& io, int fd) const {
    SSL* const ssl = SSL_new(parts_->contexts.front().get());
    if (ssl == nullptr) {
        return nullptr;
    }
    SSL_set_accept_state(ssl);
    return std::make_unique<Session>(io, fd, ssl, shared_from_this());
}

}  // namespace rproxy::tls
