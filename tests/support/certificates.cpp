#include "support/certificates.h"

#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <stdexcept>
#include <utility>

namespace rproxy::test {

namespace {

struct Delete {
    void operator()(BIO* object) const { BIO_free(object); }
    void operator()(EVP_PKEY* object) const { EVP_PKEY_free(object); }
    void operator()(X509* object) const { X509_free(object); }
    void operator()(OCSP_RESPONSE* object) const { OCSP_RESPONSE_free(object); }
    void operator()(OCSP_BASICRESP* object) const { OCSP_BASICRESP_free(object); }
    void operator()(ASN1_TIME* object) const { ASN1_TIME_free(object); }
};
template <typename T>
using Ptr = std::unique_ptr<T, Delete>;

template <typename T>
T* need(T* object) {
    if (object == nullptr) {
        throw std::runtime_error("OpenSSL does not do what a test takes for granted");
    }
    return object;
}

Ptr<EVP_PKEY> make_key(CertificateRequest::Key kind) {
    switch (kind) {
        case CertificateRequest::Key::P256:
            return Ptr<EVP_PKEY>(need(EVP_EC_gen("P-256")));
        case CertificateRequest::Key::Rsa2048:
            return Ptr<EVP_PKEY>(need(EVP_RSA_gen(2048)));
        case CertificateRequest::Key::Rsa1024:
            return Ptr<EVP_PKEY>(need(EVP_RSA_gen(1024)));
        case CertificateRequest::Key::Ed25519:
            break;
    }
    return Ptr<EVP_PKEY>(need(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")));
}

std::string text_of(BIO* bio) {
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(bio, &bytes);
    return {bytes, static_cast<std::size_t>(size)};
}

std::string pem(X509* certificate) {
    const Ptr<BIO> out(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509(out.get(), certificate);
    return text_of(out.get());
}

std::string pem(EVP_PKEY* key) {
    const Ptr<BIO> out(BIO_new(BIO_s_mem()));
    PEM_write_bio_PrivateKey(out.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
    return text_of(out.get());
}

void add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
    X509V3_CTX context{};
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* const extension =
        need(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

std::string alternative_names(const std::vector<std::string>& names) {
    std::string value;
    for (const auto& name : names) {
        const bool address = name.find_first_not_of("0123456789.") == std::string::npos ||
                             name.find(':') != std::string::npos;
        value += (value.empty() ? "" : ",") + std::string(address ? "IP:" : "DNS:") + name;
    }
    return value;
}

struct Issuer {
    X509* certificate;  // null: itself
    EVP_PKEY* key;
};

Ptr<X509> make_certificate(const CertificateRequest& request, EVP_PKEY* key, Issuer issuer) {
    Ptr<X509> certificate(need(X509_new()));
    X509* const x = certificate.get();
    X509_set_version(x, 2);
    std::uint32_t serial = 0;
    RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial);
    ASN1_INTEGER_set(X509_get_serialNumber(x), static_cast<long>(serial));
    X509_gmtime_adj(X509_getm_notBefore(x), std::chrono::seconds(request.begins).count());
    X509_gmtime_adj(X509_getm_notAfter(x), std::chrono::seconds(request.ends).count());
    X509_set_pubkey(x, key);
    const std::string name = !request.common_name.empty() ? request.common_name
                             : request.names.empty()      ? std::string("nameless")
                                                          : request.names.front();
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    X509* const by = issuer.certificate == nullptr ? x : issuer.certificate;
    X509_set_issuer_name(x, X509_get_subject_name(by));
    add_extension(x, by, NID_basic_constraints,
                  request.authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (!request.authority && !request.names.empty()) {
        add_extension(x, by, NID_subject_alt_name, alternative_names(request.names));
    }
    const bool edwards = EVP_PKEY_get_base_id(issuer.key) == EVP_PKEY_ED25519;
    X509_sign(x, issuer.key, edwards ? nullptr : EVP_sha256());
    return certificate;
}

}  // namespace

struct TestAuthority::Parts {
    Ptr<EVP_PKEY> key;
    Ptr<X509> certificate;
    std::string cert;
};

TestAuthority::TestAuthority(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {
    parts_->cert = pem(parts_->certificate.get());
}

TestAuthority::TestAuthority(const std::string& name)
    : TestAuthority([&name] {
          auto parts = std::make_unique<Parts>();
          parts->key = make_key(CertificateRequest::Key::P256);
          parts->certificate = make_certificate({.names = {},
                                                 .common_name = name,
                                                 .ends = std::chrono::hours{240},
                                                 .authority = true},
                                                parts->key.get(), {nullptr, parts->key.get()});
          return parts;
      }()) {}

TestAuthority::~TestAuthority() = default;
TestAuthority::TestAuthority(TestAuthority&&) noexcept = default;
TestAuthority& TestAuthority::operator=(TestAuthority&&) noexcept = default;

const std::string& TestAuthority::cert() const {
    return parts_->cert;
}

CertificatePair TestAuthority::issue(const CertificateRequest& request) const {
    const auto key = make_key(request.key);
    const auto certificate =
        make_certificate(request, key.get(), {parts_->certificate.get(), parts_->key.get()});
    return {pem(certificate.get()), pem(key.get())};
}

TestAuthority TestAuthority::intermediate(const std::string& name) const {
    auto parts = std::make_unique<Parts>();
    parts->key = make_key(CertificateRequest::Key::P256);
    parts->certificate = make_certificate(
        {.names = {}, .common_name = name, .ends = std::chrono::hours{240}, .authority = true},
        parts->key.get(), {parts_->certificate.get(), parts_->key.get()});
    return TestAuthority(std::move(parts));
}

std::string TestAuthority::ocsp(const std::string& cert, bool good,
                                std::chrono::hours until) const {
    const Ptr<BIO> in(BIO_new_mem_buf(cert.data(), static_cast<int>(cert.size())));
    const Ptr<X509> subject(need(PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr)));
    const Ptr<OCSP_BASICRESP> basic(OCSP_BASICRESP_new());
    OCSP_CERTID* const id = OCSP_cert_to_id(EVP_sha1(), subject.get(), parts_->certificate.get());
    const Ptr<ASN1_TIME> from(X509_gmtime_adj(nullptr, -7200));
    const Ptr<ASN1_TIME> to(X509_gmtime_adj(nullptr, std::chrono::seconds(until).count()));
    OCSP_basic_add1_status(basic.get(), id,
                           good ? V_OCSP_CERTSTATUS_GOOD : V_OCSP_CERTSTATUS_REVOKED, 0,
                           good ? nullptr : from.get(), from.get(), to.get());
    OCSP_CERTID_free(id);
    OCSP_basic_sign(basic.get(), parts_->certificate.get(), parts_->key.get(), EVP_sha256(),
                    nullptr, 0);
    const Ptr<OCSP_RESPONSE> response(
        OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic.get()));
    unsigned char* bytes = nullptr;
    const int size = i2d_OCSP_RESPONSE(response.get(), &bytes);
    std::string der(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
    OPENSSL_free(bytes);
    return der;
}

std::string encrypted_key(const std::string& key) {
    const Ptr<BIO> in(BIO_new_mem_buf(key.data(), static_cast<int>(key.size())));
    const Ptr<EVP_PKEY> plain(need(PEM_read_bio_PrivateKey(in.get(), nullptr, nullptr, nullptr)));
    const Ptr<BIO> out(BIO_new(BIO_s_mem()));
    constexpr std::string_view kPassphrase = "secret";
    PEM_write_bio_PKCS8PrivateKey(out.get(), plain.get(), EVP_aes_256_cbc(), kPassphrase.data(),
                                  static_cast<int>(kPassphrase.size()), nullptr, nullptr);
    return text_of(out.get());
}

}  // namespace rproxy::test
