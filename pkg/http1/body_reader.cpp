#include "http1/body_reader.h"

#include <algorithm>
#include <cstring>

namespace rproxy::http1 {

using Kind = http::BodyFraming::Kind;

void BodyReader::start(const http::BodyFraming& framing) {
    kind_ = framing.kind;
    left_ = framing.kind == Kind::Length ? framing.length : 0;
    received_ = 0;
    complete_ = kind_ == Kind::None || (kind_ == Kind::Length && left_ == 0);
    chunks_.reset();  // whatever the kind: trailers() must not be those of another message
}

BodyReader::Step BodyReader::decode(char* in, std::size_t size, char* out) {
    Step step{0, 0, Status::NeedMore};
    switch (kind_) {
        case Kind::None:
            break;
        case Kind::Length: {
            const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(left_, size));
            left_ -= take;
            complete_ = left_ == 0;
            step = {take, take, Status::NeedMore};
            break;
        }
        case Kind::UntilClose:
            step = {size, size, Status::NeedMore};
            break;
        case Kind::Chunked: {
            const auto decoded = chunks_.decode(in, size, out);
            complete_ = decoded.status == ChunkDecoder::Status::Complete;
            step = {decoded.consumed, decoded.produced, Status::NeedMore};
            if (decoded.status == ChunkDecoder::Status::Bad) {
                step.status = Status::Bad;
            }
            break;
        }
    }
    if (kind_ != Kind::Chunked && in != out && step.produced != 0) {
        std::memmove(out, in, step.produced);
    }
    received_ += step.produced;
    if (complete_ && step.status != Status::Bad) {
        step.status = Status::Complete;
    }
    return step;
}

bool BodyReader::complete_at_close() {
    complete_ = complete_ || kind_ == Kind::UntilClose;
    return complete_;
}

}  // namespace rproxy::http1
