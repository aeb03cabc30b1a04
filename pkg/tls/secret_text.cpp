#include "tls/secret_text.h"

#include "net/fd.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace rproxy::tls {

SecretText::SecretText(std::string_view text) : SecretText(text.size()) {
    std::ranges::copy(text, bytes_.get());
}

SecretText& SecretText::operator=(SecretText&& other) noexcept {
    if (this != &other) {
        wipe();
        bytes_ = std::move(other.bytes_);
        size_ = std::exchange(other.size_, 0);
    }
    return *this;
}

void SecretText::truncate(std::size_t size) {
    if (size < size_) {
        OPENSSL_cleanse(bytes_.get() + size, size_ - size);
        size_ = size;
    }
}

void SecretText::wipe() {
    if (bytes_) {
        OPENSSL_cleanse(bytes_.get(), size_);
    }
}

namespace {

std::unexpected<ReadFailure> failure(int error) {
    const bool missing = error == ENOENT || error == ENOTDIR || error == ELOOP;
    return std::unexpected{ReadFailure{missing, std::generic_category().message(error)}};
}

}  // namespace

std::expected<SecretText, ReadFailure> read_secret(const std::string& path) {
    constexpr std::size_t kLargest = std::size_t{1} << 20U;
    const net::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    struct stat status{};
    if (!file || ::fstat(file.get(), &status) != 0) {
        return failure(errno);
    }
    if (!S_ISREG(status.st_mode)) {
        return std::unexpected{ReadFailure{false, "is not a regular file"}};
    }
    if (static_cast<std::uint64_t>(status.st_size) > kLargest) {
        return std::unexpected{ReadFailure{false, "is larger than 1 MiB"}};
    }
    SecretText text(static_cast<std::size_t>(status.st_size));
    std::size_t size = 0;
    while (size < text.size()) {
        const ssize_t got = ::read(file.get(), text.data() + size, text.size() - size);
        if (got < 0 && errno != EINTR) {
            return failure(errno);
        }
        if (got == 0) {
            break;
        }
        size += got > 0 ? static_cast<std::size_t>(got) : 0;
    }
    text.truncate(size);
    return text;
}

}  // namespace rproxy::tls
