#include "http1/chunk_decoder.h"

#include "base/strings.h"
#include "http/field.h"
#include "http/syntax.h"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace rproxy::http1 {

namespace {

constexpr std::size_t kLongestSizeLine = 1024;  // a size and its extensions
constexpr std::size_t kLongestTrailerLine = 8192;
constexpr std::size_t kMostTrailerBytes = 16384;
constexpr std::size_t kMostSizeDigits = 15;  // 2^60: no body comes near, nothing overflows

std::string_view skip_blank(std::string_view text) {
    const auto at = text.find_first_not_of(" \t");
    return at == std::string_view::npos ? std::string_view{} : text.substr(at);
}

/// quoted-string at the start of `text` (RFC 9110 §5.6.4); what follows it, or nothing.
bool skip_quoted(std::string_view& text) {
    for (std::size_t i = 1; i < text.size(); ++i) {
        if (text[i] == '\\') {
            ++i;
        } else if (text[i] == '"') {
            text.remove_prefix(i + 1);
            return true;
        }
    }
    return false;
}

bool skip_token(std::string_view& text) {
    std::size_t end = 0;
    while (end < text.size() && http::is_token(text.substr(end, 1))) {
        ++end;
    }
    text.remove_prefix(end);
    return end != 0;
}

/// chunk-ext of RFC 9112 §7.1.1. White space before the first ";" is bad white space that real
/// senders do not send and that has been used to smuggle; it is refused.
bool valid_extensions(std::string_view text) {
    while (!text.empty()) {
        if (text.front() != ';') {
            return false;
        }
        text = skip_blank(text.substr(1));
        if (!skip_token(text)) {
            return false;
        }
        text = skip_blank(text);
        if (text.starts_with('=')) {
            text = skip_blank(text.substr(1));
            if (!(text.starts_with('"') ? skip_quoted(text) : skip_token(text))) {
                return false;
            }
            text = skip_blank(text);
        }
    }
    return true;
}

bool has_control(std::string_view text) {
    return std::ranges::any_of(text, [](char c) {
        return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == '\x7f';
    });
}

/// Fields that must not come in trailers: framing, routing and what controls the connection
/// (RFC 9110 §6.5.1).
bool allowed_in_trailer(http::FieldId id) {
    return id == http::FieldId::Other;
}

}  // namespace

void ChunkDecoder::reset() {
    state_ = State::Size;
    left_ = 0;
    partial_.clear();
    trailers_.clear();
}

ChunkDecoder::Step ChunkDecoder::decode(char* in, std::size_t size, char* out) {
    std::size_t at = 0;
    std::size_t produced = 0;
    while (at < size && state_ != State::Done && state_ != State::Bad) {
        if (state_ == State::Data) {
            const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(left_, size - at));
            if (out + produced != in + at) {
                std::memmove(out + produced, in + at, take);
            }
            produced += take;
            at += take;
            left_ -= take;
            state_ = left_ == 0 ? State::DataEnd : State::Data;
            continue;
        }
        const std::string_view rest(in + at, size - at);
        const auto piece = rest.substr(0, std::min(rest.find('\n'), rest.size() - 1) + 1);
        at += piece.size();
        if (!take_piece(piece)) {
            state_ = State::Bad;
        }
    }
    const Status status = state_ == State::Done  ? Status::Complete
                          : state_ == State::Bad ? Status::Bad
                                                 : Status::NeedMore;
    return {at, produced, status};
}

/// A line, or the part of one that is here.
bool ChunkDecoder::take_piece(std::string_view piece) {
    const std::size_t longest = state_ == State::Trailer ? kLongestTrailerLine : kLongestSizeLine;
    if (partial_.size() + piece.size() > longest) {
        return false;
    }
    if (!piece.ends_with('\n')) {
        partial_ += piece;
        return true;
    }
    if (partial_.empty()) {
        return take_line(piece);
    }
    partial_ += piece;
    const bool good = take_line(partial_);
    partial_.clear();
    return good;
}

bool ChunkDecoder::take_line(std::string_view line) {
    if (!line.ends_with("\r\n")) {
        return false;
    }
    line.remove_suffix(2);
    if (has_control(line)) {  // a bare CR among them
        return false;
    }
    switch (state_) {
        case State::Size:
            return take_size_line(line);
        case State::DataEnd:
            state_ = State::Size;
            return line.empty();
        case State::Trailer:
            return take_trailer_line(line);
        case State::Data:
        case State::Done:
        case State::Bad:
            break;
    }
    return false;
}

bool ChunkDecoder::take_size_line(std::string_view line) {
    std::uint64_t chunk_size = 0;
    const auto [end, error] =
        std::from_chars(line.data(), line.data() + line.size(), chunk_size, 16);
    const auto digits = static_cast<std::size_t>(end - line.data());
    if (error != std::errc{} || digits == 0 || digits > kMostSizeDigits || line.front() == '-' ||
        !valid_extensions(line.substr(digits))) {
        return false;
    }
    left_ = chunk_size;
    state_ = chunk_size == 0 ? State::Trailer : State::Data;
    return true;
}

bool ChunkDecoder::take_trailer_line(std::string_view line) {
    if (line.empty()) {
        state_ = State::Done;
        return true;
    }
    const auto colon = line.find(':');
    const auto name = line.substr(0, colon);
    if (colon == std::string_view::npos || !http::is_token(name) ||
        trailers_.size() + line.size() > kMostTrailerBytes) {
        return false;
    }
    if (allowed_in_trailer(http::classify(name))) {
        trailers_ += name;
        trailers_ += ": ";
        trailers_ += trim(line.substr(colon + 1));
        trailers_ += "\r\n";
    }
    return true;
}

}  // namespace rproxy::http1
