#include "http1/chunk_decoder.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using rproxy::http1::ChunkDecoder;
using Status = ChunkDecoder::Status;

struct Decoded {
    Status status{Status::NeedMore};
    std::size_t consumed{0};
    std::string content;
    std::string trailers;
};

/// In place, as the proxy does it: the first `first` bytes, then pieces of `piece`.
Decoded decode(std::string raw, std::size_t first, std::size_t piece) {
    ChunkDecoder decoder;
    Decoded result;
    std::size_t produced = 0;
    std::size_t size = first;
    while (result.status == Status::NeedMore && result.consumed < raw.size()) {
        size = std::min(size, raw.size() - result.consumed);
        const auto step = decoder.decode(raw.data() + result.consumed, size, raw.data() + produced);
        if (step.consumed > size || step.produced > step.consumed ||
            (step.status == Status::NeedMore && step.consumed != size)) {
            std::abort();
        }
        result.consumed += step.consumed;
        produced += step.produced;
        result.status = step.status;
        size = piece;
    }
    result.content = raw.substr(0, produced);
    result.trailers = decoder.trailers();
    return result;
}

void require_same(const Decoded& a, const Decoded& b) {
    const bool same =
        a.status == b.status && a.content == b.content &&
        (a.status == Status::Bad || (a.consumed == b.consumed && a.trailers == b.trailers));
    if (!same) {
        std::abort();
    }
}

}  // namespace

/// A chunked body means the same however it is cut into pieces, and what it means is never more
/// than what came.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    constexpr std::size_t kMostSplits = 256;
    const std::string raw(reinterpret_cast<const char*>(bytes), size);
    const Decoded whole = decode(raw, raw.size(), raw.size());
    require_same(whole, decode(raw, 1, 1));
    for (std::size_t first = 1; first < std::min(raw.size(), kMostSplits); ++first) {
        require_same(whole, decode(raw, first, raw.size()));
    }
    return 0;
}
