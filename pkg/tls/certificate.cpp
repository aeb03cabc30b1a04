#include "tls/certificate.h"

#include "base/strings.h"
#include "tls/pem.h"

#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <ctime>

namespace rproxy::tls {

namespace {

using File = PairProblem::File;
using std::chrono::seconds;

WallTime wall_time(const ASN1_TIME* time) {
    std::tm parts{};
    if (ASN1_TIME_to_tm(time, &parts) != 1) {
        return WallTime{};
    }
    return std::chrono::time_point_cast<WallTime::duration>(
        std::chrono::system_clock::from_time_t(::timegm(&parts)));
}

std::string subject(const X509& certificate) {
    return name_text(X509_get_subject_name(&certificate));
}

std::string common_name(const X509& certificate) {
    std::array<char, 256> text{};
    const int size = X509_NAME_get_text_by_NID(X509_get_subject_name(&certificate), NID_commonName,
                                               text.data(), text.size());
    return size > 0 ? std::string(text.data(), static_cast<std::size_t>(size)) : std::string();
}

/// The names that clients may ask for. The subject's counts only where there are no others
/// (RFC 6125 §6.4.4).
std::vector<std::string> dns_names(const X509& certificate) {
    std::vector<std::string> names;
    const Openssl<GENERAL_NAMES> all(static_cast<GENERAL_NAMES*>(
        X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr)));
    for (int i = 0; i < sk_GENERAL_NAME_num(all.get()); ++i) {
        const GENERAL_NAME* const name = sk_GENERAL_NAME_value(all.get(), i);
        if (name->type != GEN_DNS) {
            continue;
        }
        const std::string_view text(
            reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
            static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName)));
        names.push_back(to_lower(text));
    }
    if (!all) {
        if (auto name = to_lower(common_name(certificate)); !name.empty()) {
            names.push_back(std::move(name));
        }
    }
    return names;
}

std::string fingerprint_of(const X509& certificate) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    X509_digest(&certificate, EVP_sha256(), digest.data(), &size);
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    for (unsigned i = 0; i < size; ++i) {
        text += kDigits[digest[i] >> 4U];
        text += kDigits[digest[i] & 15U];
    }
    return text;
}

std::optional<KeyKind> kind_of(const EVP_PKEY& key) {
    switch (EVP_PKEY_get_base_id(&key)) {
        case EVP_PKEY_RSA:
        case EVP_PKEY_RSA_PSS:
            return KeyKind::Rsa;
        case EVP_PKEY_EC:
            return KeyKind::Ecdsa;
        case EVP_PKEY_ED25519:
        case EVP_PKEY_ED448:
            return KeyKind::Edwards;
        default:
            return std::nullopt;
    }
}

/// What OpenSSL's security level 2 would refuse, said before it does and in words.
std::optional<std::string> weakness(const EVP_PKEY& key) {
    constexpr int kLeastSecurityBits = 112;
    if (EVP_PKEY_get_security_bits(&key) >= kLeastSecurityBits) {
        return std::nullopt;
    }
    return "has a key of " + std::to_string(EVP_PKEY_get_bits(&key)) + " bits, which is too weak";
}

bool issued(const X509& issuer, const X509& certificate) {
    return X509_check_issued(const_cast<X509*>(&issuer), const_cast<X509*>(&certificate)) ==
           X509_V_OK;
}

/// Whether what is sent leads to an authority that this system trusts.
bool known_to_system(const Certificate& certificate) {
    const Openssl<X509_STORE> store(X509_STORE_new());
    const Openssl<X509_STORE_CTX> context(X509_STORE_CTX_new());
    const Openssl<STACK_OF(X509)> untrusted(sk_X509_new_null());
    for (const auto& one : certificate.chain) {
        sk_X509_push(untrusted.get(), one.get());
    }
    X509_STORE_set_default_paths(store.get());
    X509_STORE_CTX_init(context.get(), store.get(), certificate.leaf.get(), untrusted.get());
    X509_STORE_CTX_set_flags(context.get(), X509_V_FLAG_NO_CHECK_TIME);
    const bool known = X509_verify_cert(context.get()) == 1;
    static_cast<void>(take_error());
    return known;
}

/// Each certificate should have signed the one before it, and the last be one that clients know.
/// Neither can be an error: clients may know more than the file shows, and TLS 1.3 lets the order
/// go (RFC 8446 §4.4.2).
void check_chain(const Certificate& certificate, std::vector<PairProblem>& warnings) {
    const X509* last = certificate.leaf.get();
    for (std::size_t i = 0; i < certificate.chain.size(); ++i) {
        const X509& next = *certificate.chain[i];
        if (!issued(next, *last)) {
            warnings.push_back({File::Cert,
                                "has certificate " + std::to_string(i + 2) + " (" + subject(next) +
                                    ") behind one that it did not sign (" + subject(*last) + ")",
                                "put the leaf first, then whoever signed it, and so on"});
            return;
        }
        last = &next;
    }
    if (!issued(*last, *last) && !known_to_system(certificate)) {
        warnings.push_back(
            {File::Cert,
             "ends with " + subject(*last) + ", whose issuer " +
                 name_text(X509_get_issuer_name(last)) +
                 " is neither in it nor known to this system",
             "append the intermediate certificates, or clients will not trust it; nothing is wrong "
             "if they know that issuer"});
    }
}

std::optional<PairProblem> check_pair(const Certificate& certificate) {
    if (X509_check_private_key(certificate.leaf.get(), certificate.key.get()) == 1) {
        return std::nullopt;
    }
    static_cast<void>(take_error());
    for (std::size_t i = 0; i < certificate.chain.size(); ++i) {
        if (X509_check_private_key(certificate.chain[i].get(), certificate.key.get()) == 1) {
            return PairProblem{File::Cert,
                               "has the certificate of the key in place " + std::to_string(i + 2) +
                                   ", but the leaf must come first",
                               "order it: leaf, intermediates"};
        }
        static_cast<void>(take_error());
    }
    return PairProblem{File::Key,
                       "is not the key of the certificate (" + subject(*certificate.leaf) + ")",
                       "give the files that were issued together"};
}

/// The response must speak of this certificate, say that it is good, and be in its time.
std::optional<PairProblem> take_ocsp(std::string_view text, WallTime now, Certificate& certificate,
                                     std::vector<PairProblem>& warnings) {
    const auto* at = reinterpret_cast<const unsigned char*>(text.data());
    const Openssl<OCSP_RESPONSE> response(
        d2i_OCSP_RESPONSE(nullptr, &at, static_cast<long>(text.size())));
    if (!response || OCSP_response_status(response.get()) != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
        static_cast<void>(take_error());
        return PairProblem{File::Ocsp, "is no successful OCSP response in DER",
                           "fetch it: openssl ocsp -respout FILE …"};
    }
    const Openssl<OCSP_BASICRESP> basic(OCSP_response_get1_basic(response.get()));
    OCSP_SINGLERESP* single = nullptr;
    const ASN1_INTEGER* const serial = X509_get0_serialNumber(certificate.leaf.get());
    for (int i = 0; basic && i < OCSP_resp_count(basic.get()) && single == nullptr; ++i) {
        OCSP_SINGLERESP* const candidate = OCSP_resp_get0(basic.get(), i);
        ASN1_INTEGER* its_serial = nullptr;
        OCSP_id_get0_info(nullptr, nullptr, nullptr, &its_serial,
                          const_cast<OCSP_CERTID*>(OCSP_SINGLERESP_get0_id(candidate)));
        single = ASN1_INTEGER_cmp(serial, its_serial) == 0 ? candidate : nullptr;
    }
    if (single == nullptr) {
        return PairProblem{File::Ocsp, "is a response about another certificate",
                           "fetch the one of this certificate"};
    }
    ASN1_GENERALIZEDTIME* this_update = nullptr;
    ASN1_GENERALIZEDTIME* next_update = nullptr;
    const int status =
        OCSP_single_get0_status(single, nullptr, nullptr, &this_update, &next_update);
    if (status != V_OCSP_CERTSTATUS_GOOD) {
        return PairProblem{
            File::Ocsp, std::string("says that the certificate is ") + OCSP_cert_status_str(status),
            "get a new certificate"};
    }
    // Without an end it is good until a newer one is there (RFC 6960 §2.4).
    const auto until = next_update == nullptr ? WallTime::max() : wall_time(next_update);
    if (until <= now) {
        warnings.push_back({File::Ocsp, "is out of date since " + time_text(next_update),
                            "it is not sent; fetch a new one"});
        return std::nullopt;
    }
    certificate.ocsp.assign(text.begin(), text.end());
    certificate.ocsp_until = until;
    return std::nullopt;
}

}  // namespace

std::string_view to_string(KeyKind kind) {
    switch (kind) {
        case KeyKind::Rsa:
            return "RSA";
        case KeyKind::Ecdsa:
            return "ECDSA";
        case KeyKind::Edwards:
            break;
    }
    return "EdDSA";
}

std::string Certificate::label() const {
    return names.empty() ? subject(*leaf) : names.front();
}

std::expected<LoadedCertificate, PairProblem> load_certificate(const PairTexts& texts,
                                                               WallTime now) {
    auto certificates = read_certificates(texts.cert);
    if (!certificates) {
        return std::unexpected{PairProblem{File::Cert, std::move(certificates.error().message),
                                           std::move(certificates.error().hint)}};
    }
    auto key = read_private_key(texts.key);
    if (!key) {
        return std::unexpected{
            PairProblem{File::Key, std::move(key.error().message), std::move(key.error().hint)}};
    }
    LoadedCertificate loaded;
    Certificate& certificate = loaded.certificate;
    certificate.leaf = std::move(certificates->front());
    certificates->erase(certificates->begin());
    certificate.chain = std::move(*certificates);
    certificate.key = std::move(*key);
    if (auto problem = check_pair(certificate)) {
        return std::unexpected{std::move(*problem)};
    }
    const auto kind = kind_of(*certificate.key);
    if (!kind) {
        return std::unexpected{PairProblem{File::Key, "is of a kind that TLS does not use",
                                           "use an RSA or ECDSA key"}};
    }
    if (auto weak = weakness(*certificate.key)) {
        return std::unexpected{PairProblem{File::Key, std::move(*weak),
                                           "use RSA with 2048 bits or more, or ECDSA P-256"}};
    }
    certificate.kind = *kind;
    certificate.names = dns_names(*certificate.leaf);
    certificate.not_before = wall_time(X509_get0_notBefore(certificate.leaf.get()));
    certificate.not_after = wall_time(X509_get0_notAfter(certificate.leaf.get()));
    certificate.fingerprint = fingerprint_of(*certificate.leaf);
    check_chain(certificate, loaded.warnings);
    if (texts.ocsp) {
        if (auto problem = take_ocsp(*texts.ocsp, now, certificate, loaded.warnings)) {
            return std::unexpected{std::move(*problem)};
        }
    }
    return loaded;
}

std::optional<PairProblem> check_dates(const Certificate& certificate, WallTime now) {
    if (now >= certificate.not_after) {
        return PairProblem{
            File::Cert, "has expired on " + time_text(X509_get0_notAfter(certificate.leaf.get())),
            "renew it"};
    }
    if (now < certificate.not_before) {
        return PairProblem{
            File::Cert,
            "is not valid before " + time_text(X509_get0_notBefore(certificate.leaf.get())),
            "wait, or look at the clock of this machine"};
    }
    return std::nullopt;
}

}  // namespace rproxy::tls
