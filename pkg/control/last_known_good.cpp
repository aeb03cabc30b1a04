#include "control/last_known_good.h"

#include "base/byte_size.h"
#include "control/file_reader.h"
#include "control/sha256.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string_view>
#include <system_error>
#include <utility>

namespace rproxy::control {

namespace {

constexpr std::string_view kMagic = "rproxy-last-known-good 1";
constexpr std::string_view kRolledBackMagic = "rproxy-rolled-back 1";
constexpr ByteSize kMaxSize = mib(64);

std::unexpected<std::string> failure(std::string_view doing, const std::string& path, int error) {
    return std::unexpected("cannot " + std::string(doing) + " " + path + ": " +
                           std::generic_category().message(error));
}

/// Creates or truncates `path` and writes `bytes` so that they survive a crash of the machine.
std::expected<void, std::string> write_durably(const std::string& path, std::string_view bytes) {
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
                            S_IRUSR | S_IWUSR);
    if (file < 0) {
        return failure("create", path, errno);
    }
    int error = 0;
    while (!bytes.empty() && error == 0) {
        const auto written = ::write(file, bytes.data(), bytes.size());
        if (written >= 0) {
            bytes.remove_prefix(static_cast<std::size_t>(written));
        } else if (errno != EINTR) {
            error = errno;
        }
    }
    if (error == 0 && ::fsync(file) != 0) {
        error = errno;
    }
    if (::close(file) != 0 && error == 0) {
        error = errno;
    }
    if (error != 0) {
        return failure("write", path, error);
    }
    return {};
}

std::expected<void, std::string> sync_directory(const std::string& path) {
    const int directory = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) {
        return failure("open", path, errno);
    }
    const int error = ::fsync(directory) == 0 ? 0 : errno;
    ::close(directory);
    // Some file systems cannot sync a directory (EINVAL); the rename is as safe as they make it.
    if (error != 0 && error != EINVAL) {
        return failure("sync", path, error);
    }
    return {};
}

/// Takes `name value\n` from the front of `text`; nothing if it does not begin so.
std::optional<std::string_view> take_line(std::string_view& text, std::string_view name) {
    const auto end = text.find('\n');
    if (end == std::string_view::npos || !text.starts_with(name) || end <= name.size() ||
        text[name.size()] != ' ') {
        return std::nullopt;
    }
    const auto value = text.substr(name.size() + 1, end - name.size() - 1);
    text.remove_prefix(end + 1);
    return value;
}

std::optional<std::int64_t> parse_number(std::string_view text) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return number;
}

std::expected<LastKnownGood::Entry, std::string_view> parse_entry(std::string_view bytes) {
    if (!bytes.starts_with(kMagic) || !bytes.substr(kMagic.size()).starts_with('\n')) {
        return std::unexpected("it is not a state file of this version");
    }
    bytes.remove_prefix(kMagic.size() + 1);
    const auto sha256 = take_line(bytes, "sha256");
    const auto accepted = take_line(bytes, "accepted_unix_ms");
    const auto size = take_line(bytes, "bytes");
    const auto accepted_ms = accepted ? parse_number(*accepted) : std::nullopt;
    if (!sha256 || !accepted_ms || !size || !bytes.starts_with('\n')) {
        return std::unexpected("its head is damaged");
    }
    bytes.remove_prefix(1);
    if (parse_number(*size) != static_cast<std::int64_t>(bytes.size())) {
        return std::unexpected("it was cut or something was added");
    }
    if (sha256_hex(bytes) != *sha256) {
        return std::unexpected("its text does not have its hash");
    }
    return LastKnownGood::Entry{std::string(bytes), std::string(*sha256),
                                WallTime{std::chrono::milliseconds{*accepted_ms}}};
}

}  // namespace

LastKnownGood::LastKnownGood(std::string directory)
    : directory_(std::move(directory)),
      path_(directory_ + "/last-known-good"),
      rolled_back_path_(directory_ + "/rolled-back") {}

std::expected<void, std::string> LastKnownGood::save(const std::string& text, WallTime accepted) {
    const auto accepted_ms =
        std::chrono::floor<std::chrono::milliseconds>(accepted).time_since_epoch().count();
    const std::string bytes = std::string(kMagic) + "\nsha256 " + sha256_hex(text) +
                              "\naccepted_unix_ms " + std::to_string(accepted_ms) + "\nbytes " +
                              std::to_string(text.size()) + "\n\n" + text;
    return replace(path_, bytes);
}

std::expected<void, std::string> LastKnownGood::replace(const std::string& path,
                                                        const std::string& bytes) {
    // Its own name for each process: two that share the directory over a restart never write into
    // one file.
    const std::string temporary = path + "." + std::to_string(::getpid()) + ".tmp";
    auto written = write_durably(temporary, bytes);
    if (written && std::rename(temporary.c_str(), path.c_str()) != 0) {
        written = failure("replace", path, errno);
    }
    if (!written) {
        ::unlink(temporary.c_str());
        return written;
    }
    return sync_directory(directory_);
}

std::expected<std::optional<LastKnownGood::Entry>, std::string> LastKnownGood::load() const {
    const auto content = read_file(path_, kMaxSize);
    if (!content) {
        if (content.error().kind == ReadError::Kind::Missing) {
            return std::nullopt;
        }
        return std::unexpected(content.error().message);
    }
    auto entry = parse_entry(content->text);
    if (!entry) {
        return std::unexpected(path_ + " cannot be trusted: " + std::string(entry.error()));
    }
    return std::move(*entry);
}

std::expected<void, std::string> LastKnownGood::save_rolled_back(const RolledBack& rolled_back) {
    std::string body = "sha256 " + rolled_back.sha256 + "\nevidence " + rolled_back.evidence;
    std::ranges::replace(body.begin() + static_cast<std::ptrdiff_t>(body.find("\nevidence ")) + 1,
                         body.end(), '\n', ' ');
    body += '\n';
    return replace(rolled_back_path_,
                   std::string(kRolledBackMagic) + "\ncheck " + sha256_hex(body) + '\n' + body);
}

std::expected<std::optional<RolledBack>, std::string> LastKnownGood::load_rolled_back() const {
    const auto content = read_file(rolled_back_path_, kMaxSize);
    if (!content) {
        if (content.error().kind == ReadError::Kind::Missing) {
            return std::nullopt;
        }
        return std::unexpected(content.error().message);
    }
    std::string_view bytes = content->text;
    const std::string head = std::string(kRolledBackMagic) + '\n';
    if (bytes.starts_with(head)) {
        bytes.remove_prefix(head.size());
        const auto check = take_line(bytes, "check");
        const bool whole = check && sha256_hex(bytes) == *check;
        const auto sha256 = take_line(bytes, "sha256");
        const auto evidence = take_line(bytes, "evidence");
        if (whole && sha256 && evidence) {
            return RolledBack{std::string(*sha256), std::string(*evidence)};
        }
    }
    return std::unexpected(rolled_back_path_ + " cannot be trusted: it is damaged");
}

void LastKnownGood::forget_rolled_back() {
    ::unlink(rolled_back_path_.c_str());
}

}  // namespace rproxy::control
