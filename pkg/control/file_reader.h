#pragma once

#include "base/byte_size.h"

#include <cstdint>
#include <expected>
#include <string>

namespace rproxy::control {

struct ReadError {
    enum class Kind : std::uint8_t { Missing, Unreadable, TooLarge };
    Kind kind{Kind::Missing};
    std::string message;  ///< A sentence for people, with the path.
};

struct FileContent {
    std::string text;
    bool settled{true};  ///< False: it was written to while it was read; read it again soon.
};

/// Reads a whole regular file through one descriptor, so that what is returned is of one generation
/// even when links are swapped meanwhile. Never blocks on a FIFO or device in the file's place.
std::expected<FileContent, ReadError> read_file(const std::string& path, ByteSize max_size);

}  // namespace rproxy::control
