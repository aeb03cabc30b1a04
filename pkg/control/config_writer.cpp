#include "control/config_writer.h"

#include "net/fd.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <system_error>

namespace rproxy::control {

namespace {

std::unexpected<std::string> failure(std::string_view doing, const std::string& path) {
    return std::unexpected("cannot " + std::string(doing) + " " + path + ": " +
                           std::generic_category().message(errno));
}

/// Where the links lead; the path itself if they lead nowhere yet.
std::string resolved(const std::string& path) {
    const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr),
                                                           &std::free);
    return real ? std::string(real.get()) : path;
}

bool write_all(int file, std::string_view bytes) {
    while (!bytes.empty()) {
        const auto written = ::write(file, bytes.data(), bytes.size());
        if (written >= 0) {
            bytes.remove_prefix(static_cast<std::size_t>(written));
        } else if (errno != EINTR) {
            return false;
        }
    }
    return ::fsync(file) == 0;
}

std::expected<void, std::string> write_in_place(const std::string& path, std::string_view text) {
    const net::Fd file(::open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC));
    if (!file || !write_all(file.get(), text)) {
        return failure("write", path);
    }
    return {};
}

/// As the old file: who could read the configuration before can read it now.
bool take_over(int file, const std::string& path) {
    struct stat old{};
    if (::stat(path.c_str(), &old) != 0) {
        return errno == ENOENT;
    }
    struct stat fresh{};
    const bool owned =
        ::fstat(file, &fresh) == 0 && ((fresh.st_uid == old.st_uid && fresh.st_gid == old.st_gid) ||
                                       ::fchown(file, old.st_uid, old.st_gid) == 0);
    return owned && ::fchmod(file, old.st_mode & 07777U) == 0;
}

}  // namespace

std::expected<void, std::string> replace_config_file(const std::string& path,
                                                     const std::string& text) {
    const std::string target = resolved(path);
    if (::access(target.c_str(), W_OK) != 0 && errno != ENOENT) {
        return failure("write", target);
    }
    const std::string temporary = target + ".rproxy-new";
    constexpr mode_t kOwnerOnly = 0600;  // until it is as the old one
    {
        ::unlink(temporary.c_str());
        const net::Fd file(
            ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, kOwnerOnly));
        if (!file) {
            return write_in_place(target, text);
        }
        if (!take_over(file.get(), target)) {
            ::unlink(temporary.c_str());
            return write_in_place(target, text);  // keeps the owner that cannot be given
        }
        if (!write_all(file.get(), text)) {
            const auto failed = failure("write", temporary);
            ::unlink(temporary.c_str());
            return failed;
        }
    }
    if (std::rename(temporary.c_str(), target.c_str()) != 0) {
        ::unlink(temporary.c_str());
        return write_in_place(target, text);
    }
    return {};
}

}  // namespace rproxy::control
