#include "control/file_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace rproxy::control {

namespace {

class Descriptor {
public:
    explicit Descriptor(int fd) : fd_(fd) {}
    ~Descriptor() {
        if (fd_ >= 0) {
            ::close(fd_);
        }
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int get() const { return fd_; }

private:
    int fd_;
};

std::unexpected<ReadError> failure(const std::string& path, int error) {
    const bool missing = error == ENOENT || error == ENOTDIR || error == ELOOP;
    const auto reason = std::generic_category().message(error);
    return std::unexpected(
        ReadError{missing ? ReadError::Kind::Missing : ReadError::Kind::Unreadable,
                  "cannot read " + path + ": " + reason});
}

std::unexpected<ReadError> too_large(const std::string& path, ByteSize max_size) {
    return std::unexpected(
        ReadError{ReadError::Kind::TooLarge, path + " is larger than " + max_size.to_string()});
}

bool same_version(const struct stat& a, const struct stat& b) {
    return a.st_size == b.st_size && a.st_mtim.tv_sec == b.st_mtim.tv_sec &&
           a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

}  // namespace

std::expected<FileContent, ReadError> read_file(const std::string& path, ByteSize max_size) {
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    struct stat before{};
    if (file.get() < 0 || ::fstat(file.get(), &before) != 0) {
        return failure(path, errno);
    }
    if (!S_ISREG(before.st_mode)) {
        return std::unexpected(
            ReadError{ReadError::Kind::Unreadable, path + " is not a regular file"});
    }
    if (static_cast<std::uint64_t>(before.st_size) > max_size.bytes) {
        return too_large(path, max_size);
    }
    FileContent content;
    const auto limit = static_cast<std::size_t>(max_size.bytes) + 1;
    std::size_t size = 0;
    while (size < limit) {
        constexpr std::size_t kStep = 64UL * 1024;
        content.text.resize(std::min(limit, size + kStep));
        const auto got = ::read(file.get(), content.text.data() + size, content.text.size() - size);
        if (got < 0 && errno != EINTR) {
            return failure(path, errno);
        }
        if (got == 0) {
            break;
        }
        size += got > 0 ? static_cast<std::size_t>(got) : 0;
    }
    if (size == limit) {
        return too_large(path, max_size);
    }
    content.text.resize(size);
    struct stat after{};
    content.settled = ::fstat(file.get(), &after) == 0 && same_version(before, after) &&
                      static_cast<std::size_t>(after.st_size) == size;
    return content;
}

}  // namespace rproxy::control
