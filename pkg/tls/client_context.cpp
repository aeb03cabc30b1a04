#include "tls/client_context.h"

#include "base/ip_address.h"
#include "tls/certificate.h"
#include "tls/context.h"
#include "tls/session.h"

#include <array>
#include <utility>
#include <vector>

namespace rproxy::tls {

namespace {

constexpr auto kProtocols =
    std::to_array<unsigned char>({8, 'h', 't', 't', 'p', '/', '1', '.', '1'});

}  // namespace

struct SessionCache::Parts {
    /// A TLS 1.3 server gives two or so with each connection; one each is used and replaced.
    static constexpr std::size_t kMost = 4;
    std::vector<Openssl<SSL_SESSION>> sessions;
};

SessionCache::SessionCache() : parts_(std::make_unique<Parts>()) {}
SessionCache::~SessionCache() = default;

void SessionCache::clear() {
    parts_->sessions.clear();
}

struct ClientContext::Parts {
    Openssl<SSL_CTX> context;
    std::optional<Certificate> certificate;

    /// Where a connection's SessionCache is kept in its SSL.
    static int cache_index() {
        static const int kIndex = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
        return kIndex;
    }

    /// 1: the session is ours now.
    static int keep_session(SSL* ssl, SSL_SESSION* session) {
        auto* const cache = static_cast<SessionCache*>(SSL_get_ex_data(ssl, cache_index()));
        if (cache == nullptr || SSL_SESSION_is_resumable(session) != 1) {
            return 0;
        }
        auto& sessions = cache->parts_->sessions;
        if (sessions.size() >= SessionCache::Parts::kMost) {
            sessions.erase(sessions.begin());
        }
        sessions.emplace_back(session);
        return 1;
    }
};

ClientContext::ClientContext(std::string identity, std::string trust)
    : identity_(std::move(identity)), trust_(std::move(trust)) {}
ClientContext::~ClientContext() = default;

std::expected<std::shared_ptr<const ClientContext>, SettingProblem> ClientContext::make(
    const config::BackendTls& config, std::optional<std::string_view> ca,
    std::optional<Certificate> certificate, std::string identity, std::string trust) {
    std::shared_ptr<ClientContext> made(new ClientContext(std::move(identity), std::move(trust)));
    made->server_name_ = config.server_name;
    made->verify_ = config.verify;
    made->parts_ = std::make_unique<Parts>();
    Parts& parts = *made->parts_;
    parts.context = make_context(TLS_client_method());
    SSL_CTX& context = *parts.context;
    if (ca) {
        if (auto trusted = tls::trust(context, *ca); !trusted) {
            return std::unexpected{std::move(trusted.error())};
        }
    } else if (config.verify) {
        SSL_CTX_set_default_verify_paths(&context);
        static_cast<void>(take_error());
    }
    if (certificate) {
        parts.certificate = std::move(certificate);
        if (auto used = use_certificate(context, *parts.certificate); !used) {
            used.error().message = *config.cert + " " + used.error().message;
            return std::unexpected{std::move(used.error())};
        }
    }
    SSL_CTX_set_verify(&context, config.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
    SSL_CTX_set_alpn_protos(&context, kProtocols.data(), kProtocols.size());
    SSL_CTX_set_session_cache_mode(&context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(&context, Parts::keep_session);
    return made;
}

std::unique_ptr<Session> ClientContext::connect(Io& io, int fd, const std::string& host,
                                                SessionCache* cache) const {
    SSL* const ssl = SSL_new(parts_->context.get());
    if (ssl == nullptr) {
        return nullptr;
    }
    auto session = std::make_unique<Session>(io, fd, ssl, shared_from_this());
    const std::string& name = server_name_.empty() ? host : server_name_;
    const bool is_address = IpAddress::parse(name).has_value();
    if (!is_address && !name.empty()) {
        // RFC 6066 §3: names only. What SSL_set_tlsext_host_name() is, without its cast.
        SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                 const_cast<char*>(name.c_str()));
    }
    if (verify_ && is_address) {
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name.c_str());
    } else if (verify_) {
        SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        SSL_set1_host(ssl, name.c_str());
    }
    SSL_set_ex_data(ssl, Parts::cache_index(), cache);
    if (cache != nullptr && !cache->parts_->sessions.empty()) {
        auto& sessions = cache->parts_->sessions;
        SSL_set_session(ssl, sessions.back().get());
        if (SSL_SESSION_get_protocol_version(sessions.back().get()) == TLS1_3_VERSION) {
            sessions.pop_back();  // each is used once (RFC 8446 §C.4), and brings new ones
        }
    }
    SSL_set_connect_state(ssl);
    return session;
}

}  // namespace rproxy::tls
