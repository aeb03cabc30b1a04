#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

/// OpenSSL's objects as values. Included by this library's .cpp files only.
namespace rproxy::tls {

struct OpensslDelete {
    void operator()(BIO* object) const { BIO_free(object); }
    void operator()(BIO_METHOD* object) const { BIO_meth_free(object); }
    void operator()(EVP_PKEY* object) const { EVP_PKEY_free(object); }
    void operator()(EVP_CIPHER* object) const { EVP_CIPHER_free(object); }
    void operator()(OCSP_RESPONSE* object) const { OCSP_RESPONSE_free(object); }
    void operator()(OCSP_BASICRESP* object) const { OCSP_BASICRESP_free(object); }
    void operator()(SSL* object) const { SSL_free(object); }
    void operator()(SSL_CTX* object) const { SSL_CTX_free(object); }
    void operator()(SSL_SESSION* object) const { SSL_SESSION_free(object); }
    void operator()(X509* object) const { X509_free(object); }
    void operator()(X509_STORE* object) const { X509_STORE_free(object); }
    void operator()(X509_STORE_CTX* object) const { X509_STORE_CTX_free(object); }
    void operator()(GENERAL_NAMES* object) const { GENERAL_NAMES_free(object); }
    void operator()(STACK_OF(X509) * object) const { sk_X509_free(object); }
    void operator()(STACK_OF(X509_NAME) * object) const {
        sk_X509_NAME_pop_free(object, X509_NAME_free);
    }
};

template <typename T>
using Openssl = std::unique_ptr<T, OpensslDelete>;

/// What the calling thread's last error was, in OpenSSL's words; forgets it and all before it.
std::string take_error();

/// `CN=shop.example.com,O=Example` (RFC 2253), with everything that is not printable ASCII escaped.
std::string name_text(const X509_NAME* name);
/// `2026-11-23 18:27:36 UTC`.
std::string time_text(const ASN1_TIME* time);
Openssl<BIO> memory_bio(std::string_view text);

}  // namespace rproxy::tls
