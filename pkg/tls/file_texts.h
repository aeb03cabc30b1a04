#pragma once

#include "tls/secret_text.h"

#include <expected>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace rproxy::tls {

/// The files that a configuration names, each read once, so that everything made of them is of one
/// moment. Control thread.
class FileTexts {
public:
    using Read = std::function<std::expected<SecretText, ReadFailure>(const std::string& path)>;
    explicit FileTexts(Read read = read_secret) : read_(std::move(read)) {}

    const std::expected<SecretText, ReadFailure>& get(const std::string& path);
    /// Says whether two readings of the same files found the same: a digest of paths and contents.
    std::string digest() const;
    /// The same of a single text.
    static std::string digest(std::string_view text);

private:
    Read read_;
    std::map<std::string, std::expected<SecretText, ReadFailure>> texts_;
};

}  // namespace rproxy::tls
