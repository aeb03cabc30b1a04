#include "tls/file_texts.h"

#include <openssl/evp.h>

#include <array>

namespace rproxy::tls {

const std::expected<SecretText, ReadFailure>& FileTexts::get(const std::string& path) {
    const auto known = texts_.find(path);
    return known != texts_.end() ? known->second : texts_.emplace(path, read_(path)).first->second;
}

std::string FileTexts::digest(std::string_view text) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
    unsigned size = 0;
    EVP_Digest(text.data(), text.size(), bytes.data(), &size, EVP_sha256(), nullptr);
    return {reinterpret_cast<const char*>(bytes.data()), size};
}

std::string FileTexts::digest() const {
    std::string all;
    for (const auto& [path, text] : texts_) {
        all += digest(path);
        all += text ? digest(text->view()) : text.error().message;
    }
    return digest(all);
}

}  // namespace rproxy::tls
