#pragma once

#include "base/clock.h"
#include "tls/openssl.h"

#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// A certificate with its chain, key and OCSP response, checked before anybody is shown it. Control
/// thread; included by this library's .cpp files and tests only.
namespace rproxy::tls {

enum class KeyKind : std::uint8_t { Rsa, Ecdsa, Edwards };
std::string_view to_string(KeyKind kind);

struct Certificate {
    Openssl<X509> leaf;
    std::vector<Openssl<X509>> chain;  ///< What is sent behind the leaf, in the file's order.
    Openssl<EVP_PKEY> key;
    KeyKind kind{KeyKind::Rsa};
    std::vector<std::string> names;  ///< DNS names, lower case, `*.` as the first label allowed.
    WallTime not_before;
    WallTime not_after;
    std::string fingerprint;          ///< SHA-256 of the leaf, as hexadecimal digits.
    std::vector<unsigned char> ocsp;  ///< Empty: none.
    WallTime ocsp_until;              ///< Not sent from then on.

    /// What people call it: its first name, else its subject.
    std::string label() const;
};

/// Something about a pair of files, in words for who made them.
struct PairProblem {
    enum class File : std::uint8_t { Cert, Key, Ocsp };
    File file{File::Cert};
    std::string message;  ///< A phrase that follows the file's path.
    std::string hint;
};

struct PairTexts {
    std::string_view cert;
    std::string_view key;
    std::optional<std::string_view> ocsp;  ///< DER.
};

struct LoadedCertificate {
    Certificate certificate;
    std::vector<PairProblem> warnings;  ///< It works, but not for everybody or not for long.
};

/// Checks that the texts are whole, belong together and can be used; an expired one is a problem of
/// check_dates(), because who has nothing better may still want it.
std::expected<LoadedCertificate, PairProblem> load_certificate(const PairTexts& texts,
                                                               WallTime now);
/// Nothing: `now` is within its time.
std::optional<PairProblem> check_dates(const Certificate& certificate, WallTime now);

}  // namespace rproxy::tls
