#include "tls/context.h"

#include "base/strings.h"
#include "tls/pem.h"

#include <algorithm>
#include <cstdlib>
#include <vector>

namespace rproxy::tls {

namespace {

constexpr auto kCiphers12 =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr auto kCiphers13 =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

int number_of(config::TlsVersion version) {
    return version == config::TlsVersion::Tls13 ? TLS1_3_VERSION : TLS1_2_VERSION;
}

/// What OpenSSL has at all.
std::vector<std::string> known_ciphers() {
    const Openssl<SSL_CTX> context(SSL_CTX_new(TLS_method()));
    SSL_CTX_set_cipher_list(context.get(), "ALL:@SECLEVEL=0");
    std::vector<std::string> names;
    const auto* const all = SSL_CTX_get_ciphers(context.get());
    names.reserve(static_cast<std::size_t>(sk_SSL_CIPHER_num(all)));
    for (int i = 0; i < sk_SSL_CIPHER_num(all); ++i) {
        names.emplace_back(SSL_CIPHER_get_name(sk_SSL_CIPHER_value(all, i)));
    }
    return names;
}

SettingProblem unknown_cipher(const std::string& name, const std::vector<std::string>& known) {
    const auto nearest = nearest_word(name, known);
    return {"'" + name + "' is no cipher suite that can be used",
            nearest ? "did you mean " + *nearest + "?" : "`openssl ciphers -v` lists them"};
}

}  // namespace

Openssl<SSL_CTX> make_context(const SSL_METHOD* method) {
    Openssl<SSL_CTX> context(SSL_CTX_new(method));
    if (!context) {
        std::abort();  // out of memory, or an OpenSSL without its own algorithms
    }
    SSL_CTX_set_security_level(context.get(), 2);
    SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    // Idle connections give their 16 KiB back; records are written as they are cut, from where the
    // bytes are at the time.
    SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context.get(), 1);
    SSL_CTX_set1_groups_list(context.get(), "X25519:P-256:P-384");
    SSL_CTX_set_cipher_list(context.get(), kCiphers12);
    SSL_CTX_set_ciphersuites(context.get(), kCiphers13);
    set_versions(*context, config::TlsVersion::Tls12, config::TlsVersion::Tls13);
    return context;
}

void set_versions(SSL_CTX& context, config::TlsVersion least, config::TlsVersion most) {
    SSL_CTX_set_min_proto_version(&context, number_of(least));
    SSL_CTX_set_max_proto_version(&context, number_of(most));
}

std::expected<void, SettingProblem> set_ciphers(SSL_CTX& context,
                                                std::span<const std::string> names) {
    const auto known = known_ciphers();
    std::string older;
    std::string newer;
    for (const std::string& name : names) {
        if (std::ranges::find(known, name) == known.end()) {
            return std::unexpected{unknown_cipher(name, known)};
        }
        const bool is_newer = name.starts_with("TLS_");
        const bool usable = is_newer ? SSL_CTX_set_ciphersuites(&context, name.c_str()) == 1
                                     : SSL_CTX_set_cipher_list(&context, name.c_str()) == 1;
        static_cast<void>(take_error());
        if (!usable) {
            return std::unexpected{
                SettingProblem{"the cipher suite '" + name + "' is too weak", "leave it out"}};
        }
        std::string& list = is_newer ? newer : older;
        list += (list.empty() ? "" : ":") + name;
    }
    SSL_CTX_set_cipher_list(&context, older.empty() ? kCiphers12 : older.c_str());
    SSL_CTX_set_ciphersuites(&context, newer.empty() ? kCiphers13 : newer.c_str());
    return {};
}

std::expected<void, SettingProblem> use_certificate(SSL_CTX& context,
                                                    const Certificate& certificate) {
    const auto chain = sk_X509_new_null();
    for (const auto& one : certificate.chain) {
        sk_X509_push(chain, one.get());
    }
    const int used =
        SSL_CTX_use_cert_and_key(&context, certificate.leaf.get(), certificate.key.get(), chain, 1);
    sk_X509_free(chain);
    if (used != 1) {
        return std::unexpected{
            SettingProblem{"cannot be used: " + take_error(),
                           "use RSA with 2048 bits or more or ECDSA, signed with SHA-256"}};
    }
    return {};
}

std::expected<Openssl<STACK_OF(X509_NAME)>, SettingProblem> trust(SSL_CTX& context,
                                                                  std::string_view pem) {
    auto certificates = read_certificates(pem);
    if (!certificates) {
        return std::unexpected{SettingProblem{std::move(certificates.error().message),
                                              std::move(certificates.error().hint)}};
    }
    Openssl<X509_STORE> store(X509_STORE_new());
    // Who names an intermediate authority, or one server's own certificate, means just that one.
    X509_STORE_set_flags(store.get(), X509_V_FLAG_PARTIAL_CHAIN);
    Openssl<STACK_OF(X509_NAME)> names(sk_X509_NAME_new_null());
    for (const auto& certificate : *certificates) {
        X509_STORE_add_cert(store.get(), certificate.get());
        sk_X509_NAME_push(names.get(), X509_NAME_dup(X509_get_subject_name(certificate.get())));
    }
    static_cast<void>(take_error());
    SSL_CTX_set_cert_store(&context, store.release());
    return names;
}

}  // namespace rproxy::tls
