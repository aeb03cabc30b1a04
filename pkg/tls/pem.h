#pragma once

#include "tls/openssl.h"

#include <expected>
#include <string>
#include <string_view>
#include <vector>

/// What is in a PEM text, or what is wrong with it in words for who made the file. Control thread.
/// Included by this library's .cpp files and tests only.
namespace rproxy::tls {

struct PemError {
    std::string message;  ///< A phrase that follows the file's path.
    std::string hint;
};

/// All certificates of the text in its order, at least one. Blocks of other kinds (a key in the
/// same file) are passed over.
std::expected<std::vector<Openssl<X509>>, PemError> read_certificates(std::string_view text);
/// The first private key of the text. Never asks for a passphrase.
std::expected<Openssl<EVP_PKEY>, PemError> read_private_key(std::string_view text);

}  // namespace rproxy::tls
