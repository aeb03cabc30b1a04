#include "control/sha256.h"

#include <openssl/evp.h>

#include <array>
#include <cstdlib>

namespace rproxy::control {

std::string sha256_hex(std::string_view bytes) {
    constexpr std::string_view kHex = "0123456789abcdef";
    constexpr std::size_t kSize = 32;
    std::array<unsigned char, kSize> digest{};
    if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), nullptr, EVP_sha256(), nullptr) !=
        1) {
        std::abort();  // an OpenSSL without SHA-256 cannot run anything of ours
    }
    std::string hex;
    hex.reserve(2 * kSize);
    for (const auto byte : digest) {
        hex += kHex[byte >> 4U];
        hex += kHex[byte & 0xfU];
    }
    return hex;
}

}  // namespace rproxy::control
