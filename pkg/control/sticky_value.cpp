#include "control/sticky_value.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

namespace rproxy::control {

namespace {

constexpr std::size_t kDigestSize = 32;
using Digest = std::array<unsigned char, kDigestSize>;

/// Half of the digest: guessing one of a million values takes 2^108 requests.
constexpr std::size_t kValueBytes = 16;

std::span<const unsigned char> bytes_of(std::string_view text) {
    return {reinterpret_cast<const unsigned char*>(text.data()), text.size()};
}

Digest hmac(std::span<const unsigned char> key, std::span<const unsigned char> message) {
    Digest digest{};
    if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), message.data(), message.size(),
             digest.data(), nullptr) == nullptr) {
        std::abort();  // an OpenSSL without SHA-256 cannot run anything of ours
    }
    return digest;
}

/// RFC 4648 §5 without padding.
std::string base64url(std::span<const unsigned char> bytes) {
    constexpr std::string_view kDigits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    std::string text;
    std::uint32_t bits = 0;
    unsigned count = 0;
    for (const unsigned char byte : bytes) {
        bits = bits << 8U | byte;
        count += 8;
        while (count >= 6) {
            count -= 6;
            text += kDigits[bits >> count & 63U];
        }
    }
    if (count != 0) {
        text += kDigits[bits << (6U - count) & 63U];
    }
    return text;
}

}  // namespace

std::string sticky_value(const backends::BackendKey& backend, const std::string& cookie) {
    constexpr std::string_view kPurpose = "rproxy sticky cookie 1";
    // Neither name can hold a NUL, so that no two pairs read the same.
    const Digest key = hmac(bytes_of(kPurpose), bytes_of(backend.pool + '\0' + cookie));
    const Digest value = hmac(key, bytes_of(backend.address));
    return base64url(std::span(value).first(kValueBytes));
}

}  // namespace rproxy::control
