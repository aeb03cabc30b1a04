#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace rproxy::tls {

/// Bytes that must not stay behind in memory: one allocation, never grown, overwritten before it is
/// given back. Moves, never copies. One thread at a time.
class SecretText {
public:
    SecretText() = default;
    explicit SecretText(std::size_t size) : bytes_(new char[size + 1]{}), size_(size) {}
    explicit SecretText(std::string_view text);
    ~SecretText() { wipe(); }
    SecretText(SecretText&& other) noexcept
        : bytes_(std::move(other.bytes_)), size_(std::exchange(other.size_, 0)) {}
    SecretText& operator=(SecretText&& other) noexcept;
    SecretText(const SecretText&) = delete;
    SecretText& operator=(const SecretText&) = delete;

    std::string_view view() const { return {bytes_.get(), size_}; }
    char* data() { return bytes_.get(); }
    std::size_t size() const { return size_; }
    /// Forgets what is behind `size`.
    void truncate(std::size_t size);

private:
    void wipe();

    std::unique_ptr<char[]> bytes_;  // NOLINT(*-avoid-c-arrays): never grows, so never moves
    std::size_t size_{0};
};

struct ReadFailure {
    bool missing{false};
    std::string message;  ///< A phrase for people, without the path.
};

/// Reads a regular file of at most 1 MiB without leaving a second copy of it in memory. Never
/// blocks on a FIFO or device in the file's place.
std::expected<SecretText, ReadFailure> read_secret(const std::string& path);

}  // namespace rproxy::tls
