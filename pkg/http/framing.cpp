#include "http/framing.h"

#include "base/strings.h"

#include <array>
#include <charconv>
#include <optional>
#include <span>

namespace rproxy::http {

std::string_view to_string(FramingError error) {
    constexpr std::array<std::string_view, 5> kTexts{
        "both Content-Length and Transfer-Encoding", "more than one Content-Length",
        "a Content-Length that is not a number", "a Transfer-Encoding other than chunked",
        "Transfer-Encoding in HTTP/1.0"};
    return kTexts[static_cast<std::size_t>(error)];
}

namespace {

/// Digits only: no sign, no list, no white space inside, no overflow (RFC 9110 §8.6). The RFC lets
/// a recipient take `5, 5` for 5; a strict one does not guess.
std::optional<std::uint64_t> parse_length(std::string_view text) {
    constexpr std::size_t kMostDigits = 18;  // far above any body, far below overflow
    std::uint64_t length = 0;
    const char* const last = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), last, length);
    if (text.empty() || text.size() > kMostDigits || error != std::errc{} || end != last) {
        return std::nullopt;
    }
    return length;
}

std::expected<BodyFraming, FramingError> framing(std::span<const Field> fields, Version version) {
    const Field* length = nullptr;
    const Field* encoding = nullptr;
    for (const Field& field : fields) {
        if (field.id == FieldId::ContentLength) {
            if (length != nullptr) {
                return std::unexpected{FramingError::SeveralLengths};
            }
            length = &field;
        } else if (field.id == FieldId::TransferEncoding) {
            if (encoding != nullptr) {
                return std::unexpected{FramingError::BadTransferEncoding};
            }
            encoding = &field;
        }
    }
    if (encoding != nullptr) {
        if (version == Version::Http10) {
            return std::unexpected{FramingError::TransferEncodingInHttp10};
        }
        if (length != nullptr) {
            return std::unexpected{FramingError::LengthAndTransferEncoding};
        }
        if (!equals_ignoring_case(encoding->value, "chunked")) {
            return std::unexpected{FramingError::BadTransferEncoding};
        }
        return BodyFraming{BodyFraming::Kind::Chunked, 0};
    }
    if (length != nullptr) {
        const auto value = parse_length(length->value);
        if (!value) {
            return std::unexpected{FramingError::BadLength};
        }
        return BodyFraming{BodyFraming::Kind::Length, *value};
    }
    return BodyFraming{};
}

}  // namespace

std::expected<BodyFraming, FramingError> request_framing(const RequestHead& head) {
    return framing(head.fields, head.version);
}

std::expected<BodyFraming, FramingError> response_framing(const ResponseHead& head,
                                                          Method request_method) {
    auto result = framing(head.fields, head.version);
    if (!result) {
        return result;
    }
    const bool bodyless = request_method == Method::Head || head.status < 200 ||
                          head.status == 204 || head.status == 304;
    if (bodyless) {
        return BodyFraming{BodyFraming::Kind::None, 0};
    }
    if (result->kind == BodyFraming::Kind::None) {
        return BodyFraming{BodyFraming::Kind::UntilClose, 0};
    }
    return result;
}

bool keeps_alive(Version version, std::span<const Field> fields) {
    bool close = false;
    bool keep = false;
    for (const Field& field : fields) {
        if (field.id == FieldId::Connection) {
            close = close || list_contains(field.value, "close");
            keep = keep || list_contains(field.value, "keep-alive");
        }
    }
    return !close && (version == Version::Http11 || keep);
}

bool wants_upgrade(const RequestHead& head) {
    bool named = false;
    bool offered = false;
    for (const Field& field : head.fields) {
        if (field.id == FieldId::Connection) {
            named = named || list_contains(field.value, "upgrade");
        } else if (field.id == FieldId::Upgrade) {
            if (list_contains(field.value, "h2c")) {
                return false;
            }
            offered = true;
        }
    }
    return head.version == Version::Http11 && named && offered;
}

}  // namespace rproxy::http
