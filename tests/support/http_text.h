#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

/// Just enough of HTTP/1.1's text to play a client or a backend: lenient, and on purpose none of
/// the proxy's own code, whose mistakes it must be able to show.
namespace rproxy::test {

/// The value of the first field of this name (any case) in a head, trimmed; nothing if there is
/// none.
std::optional<std::string> field(std::string_view head, std::string_view name);
/// How many fields of this name there are.
std::size_t count_fields(std::string_view head, std::string_view name);

/// Bytes of the head at the front of `bytes`, its empty line included; nothing if it is not whole.
std::optional<std::size_t> head_size(std::string_view bytes);

/// Finds the end of a chunked body in bytes that are still coming.
class ChunkScanner {
public:
    /// `bytes`: all of the body so far, what it was called with before included. The size of the
    /// whole body on the wire, trailers included; nothing while it is not complete or if it is
    /// malformed.
    std::optional<std::size_t> scan(std::string_view bytes);
    const std::string& content() const { return content_; }
    const std::string& trailers() const { return trailers_; }  ///< Lines with their CRLF.

private:
    std::size_t at_{0};
    std::string content_;
    std::string trailers_;
};

}  // namespace rproxy::test
