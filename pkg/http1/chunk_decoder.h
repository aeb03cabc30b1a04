#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace rproxy::http1 {

/// Takes the chunked transfer coding off a body (RFC 9112 §7.1), in place and in pieces of any
/// size. Strict: CRLF only, hexadecimal sizes without sign or space, extensions by the grammar (and
/// then dropped), trailers as well formed fields.
class ChunkDecoder {
public:
    enum class Status : std::uint8_t { NeedMore, Complete, Bad };
    struct Step {
        std::size_t consumed;  ///< Of the input; all of it unless Complete or Bad.
        std::size_t produced;  ///< Decoded bytes at the start of `out`.
        Status status;
    };

    /// Decodes `size` bytes at `in` to `out`, which may be the same memory or lie before it.
    Step decode(char* in, std::size_t size, char* out);
    /// The trailer fields that may be passed on, as `Name: value` CRLF lines; of a Complete body.
    std::string_view trailers() const { return trailers_; }
    /// For the next body. Keeps memory.
    void reset();

private:
    enum class State : std::uint8_t { Size, Data, DataEnd, Trailer, Done, Bad };

    bool take_piece(std::string_view piece);
    bool take_line(std::string_view line);
    bool take_size_line(std::string_view line);
    bool take_trailer_line(std::string_view line);

    State state_{State::Size};
    std::uint64_t left_{0};  // of the present chunk
    std::string partial_;    // a line that has not arrived whole
    std::string trailers_;
};

}  // namespace rproxy::http1
