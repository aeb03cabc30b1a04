#include "tls/pem.h"

#include <openssl/err.h>
#include <openssl/pem.h>

namespace rproxy::tls {

namespace {

/// DER begins with a SEQUENCE of a two-byte length.
bool looks_like_der(std::string_view text) {
    return text.starts_with("\x30\x82") || text.starts_with("\x30\x81");
}

PemError nothing_found(std::string_view text, const std::string& wanted, const std::string& tool) {
    if (text.empty()) {
        return {"is empty", "put a PEM " + wanted + " there"};
    }
    if (looks_like_der(text)) {
        return {"is DER, not PEM", "convert it: openssl " + tool + " -inform der -in FILE"};
    }
    return {"holds no " + wanted, "it needs a block '-----BEGIN " +
                                      std::string(tool == "x509" ? "CERTIFICATE" : "PRIVATE KEY") +
                                      "-----'"};
}

/// One block of a PEM text. OpenSSL allocates; the bytes of a key are overwritten.
struct Block {
    char* name{nullptr};
    char* header{nullptr};
    unsigned char* bytes{nullptr};
    long size{0};

    Block() = default;
    ~Block() {
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_clear_free(bytes, static_cast<std::size_t>(size));
    }
    Block(const Block&) = delete;
    Block& operator=(const Block&) = delete;
    Block(Block&&) = delete;
    Block& operator=(Block&&) = delete;
};

/// Asked for a passphrase only where a block is encrypted.
int refuse_passphrase(char* /*out*/, int /*size*/, int /*writing*/, void* asked) {
    *static_cast<bool*>(asked) = true;
    return -1;
}

}  // namespace

std::expected<std::vector<Openssl<X509>>, PemError> read_certificates(std::string_view text) {
    const auto in = memory_bio(text);
    std::vector<Openssl<X509>> certificates;
    for (std::size_t number = 1;; ++number) {
        Block block;
        ERR_clear_error();
        if (PEM_read_bio(in.get(), &block.name, &block.header, &block.bytes, &block.size) != 1) {
            const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
            const std::string why = take_error();
            if (at_end) {
                break;
            }
            return std::unexpected{PemError{
                "is cut off or damaged in block " + std::to_string(number) + " (" + why + ")",
                "write the whole file again"}};
        }
        const std::string_view name = block.name;
        if (name != PEM_STRING_X509 && name != PEM_STRING_X509_OLD) {
            continue;
        }
        const unsigned char* at = block.bytes;
        Openssl<X509> certificate(d2i_X509(nullptr, &at, block.size));
        if (!certificate) {
            return std::unexpected{PemError{"holds a block " + std::to_string(number) +
                                                " that is no certificate (" + take_error() + ")",
                                            "write the whole file again"}};
        }
        certificates.push_back(std::move(certificate));
    }
    if (certificates.empty()) {
        return std::unexpected{nothing_found(text, "certificate", "x509")};
    }
    return certificates;
}

std::expected<Openssl<EVP_PKEY>, PemError> read_private_key(std::string_view text) {
    const auto in = memory_bio(text);
    bool encrypted = false;
    ERR_clear_error();
    Openssl<EVP_PKEY> key(
        PEM_read_bio_PrivateKey(in.get(), nullptr, refuse_passphrase, &encrypted));
    if (key) {
        return key;
    }
    const std::string why = take_error();
    if (encrypted || text.find("-----BEGIN ENCRYPTED PRIVATE KEY-----") != text.npos) {
        return std::unexpected{
            PemError{"holds an encrypted key, and nobody is there to ask for "
                     "its passphrase",
                     "decrypt it: openssl pkey -in FILE -out PLAIN"}};
    }
    if (text.find("PRIVATE KEY-----") == text.npos) {
        auto problem = nothing_found(text, "private key", "pkey");
        if (text.find("-----BEGIN CERTIFICATE-----") != text.npos) {
            problem.message = "holds a certificate, but no private key";
            problem.hint = "are 'cert' and 'key' swapped?";
        }
        return std::unexpected{std::move(problem)};
    }
    return std::unexpected{
        PemError{"is cut off or damaged (" + why + ")", "write the whole file again"}};
}

}  // namespace rproxy::tls
