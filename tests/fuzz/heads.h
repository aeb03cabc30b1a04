#pragma once

#include "http/framing.h"
#include "http/syntax.h"
#include "http1/head_parser.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <optional>
#include <span>
#include <string_view>

/// What must be true of every head that the parsers take.
namespace rproxy::fuzz {

inline void require(bool condition) {
    if (!condition) {
        std::abort();
    }
}

inline bool is_within(std::string_view part, std::string_view whole) {
    return part.empty() || (part.data() >= whole.data() &&
                            part.data() + part.size() <= whole.data() + whole.size());
}

inline bool has_control(std::string_view text) {
    return std::ranges::any_of(text, [](char c) {
        return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == '\x7f';
    });
}

/// The end of the head at the start of `text`, after checking that it is found, or refused, alike
/// when the bytes come one by one.
inline std::optional<std::size_t> head_end_at_every_split(std::string_view text,
                                                          const http1::HeadLimits& limits) {
    http1::HeadScan at_once;
    const auto end = http1::find_head_end(text, limits, at_once);
    http1::HeadScan scan;
    auto in_pieces = http1::find_head_end(text.substr(0, 0), limits, scan);
    for (std::size_t arrived = 1; arrived <= text.size() && in_pieces && !*in_pieces; ++arrived) {
        in_pieces = http1::find_head_end(text.substr(0, arrived), limits, scan);
    }
    require(end == in_pieces);
    return end ? *end : std::nullopt;
}

inline void require_sound_fields(std::span<const http::Field> fields, std::string_view whole,
                                 const http1::HeadLimits& limits) {
    require(fields.size() <= limits.header_count);
    for (const auto& field : fields) {
        require(http::is_token(field.name) && is_within(field.name, whole));
        require(is_within(field.value, whole) && !has_control(field.value));
        require(field.value.empty() || (field.value.front() != ' ' && field.value.front() != '\t' &&
                                        field.value.back() != ' ' && field.value.back() != '\t'));
        require(field.id == http::classify(field.name));
    }
}

/// The field that the framing was taken from is the only one that speaks of it.
inline void require_one_framing(std::span<const http::Field> fields,
                                const http::BodyFraming& framing) {
    const auto lengths = std::ranges::count(fields, http::FieldId::ContentLength, &http::Field::id);
    const auto encodings =
        std::ranges::count(fields, http::FieldId::TransferEncoding, &http::Field::id);
    using Kind = http::BodyFraming::Kind;
    require(lengths == (framing.kind == Kind::Length ? 1 : 0));
    require(encodings == (framing.kind == Kind::Chunked ? 1 : 0));
}

}  // namespace rproxy::fuzz
