#pragma once

#include "http/framing.h"
#include "http1/chunk_decoder.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace rproxy::http1 {

/// Finds the end of one body and takes its framing off, whatever its kind.
class BodyReader {
public:
    enum class Status : std::uint8_t { NeedMore, Complete, Bad };
    struct Step {
        std::size_t consumed;  ///< Raw bytes used; what follows belongs to the next message.
        std::size_t produced;  ///< Body bytes at the start of `out`.
        Status status;
    };

    /// A message with this framing begins. A body of length 0 is complete at once.
    void start(const http::BodyFraming& framing);
    bool complete() const { return complete_; }
    /// Decodes what was read to `out`, which is `in` or lies before it in the same memory.
    Step decode(char* in, std::size_t size, char* out);
    /// The peer closed: whether the body is complete by that (RFC 9112 §8).
    bool complete_at_close();
    /// Body bytes still to come if the framing tells; 0 otherwise.
    std::uint64_t left() const { return left_; }
    std::uint64_t received() const { return received_; }
    std::string_view trailers() const { return chunks_.trailers(); }
    http::BodyFraming::Kind kind() const { return kind_; }

private:
    http::BodyFraming::Kind kind_{http::BodyFraming::Kind::None};
    bool complete_{true};
    std::uint64_t left_{0};
    std::uint64_t received_{0};
    ChunkDecoder chunks_;
};

}  // namespace rproxy::http1
