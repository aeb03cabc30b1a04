#pragma once

#include "config/snapshot.h"
#include "tls/certificate.h"
#include "tls/openssl.h"

#include <expected>
#include <span>
#include <string>
#include <string_view>

/// What contexts of both sides have in common. Control thread; included by this library's .cpp
/// files only.
namespace rproxy::tls {

/// Something wrong with a setting, in words.
struct SettingProblem {
    std::string message;
    std::string hint;
};

/// TLS 1.2 and 1.3 with the curves and ciphers of Mozilla's intermediate configuration 5.7, without
/// its finite-field Diffie-Hellman (docs/adr/0011).
Openssl<SSL_CTX> make_context(const SSL_METHOD* method);
void set_versions(SSL_CTX& context, config::TlsVersion least, config::TlsVersion most);
/// Names of either version, as config::ListenerTls::ciphers has them.
std::expected<void, SettingProblem> set_ciphers(SSL_CTX& context,
                                                std::span<const std::string> names);
/// The chain and key that are shown.
std::expected<void, SettingProblem> use_certificate(SSL_CTX& context,
                                                    const Certificate& certificate);
/// Trusts exactly the certificates of `pem`, intermediates included. Their names, for telling
/// clients whom we want.
std::expected<Openssl<STACK_OF(X509_NAME)>, SettingProblem> trust(SSL_CTX& context,
                                                                  std::string_view pem);

}  // namespace rproxy::tls
