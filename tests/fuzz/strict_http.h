#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// HTTP/1.1 as the RFCs spell it, read a second time: shares no line with pkg/http and pkg/http1,
/// so that what one of them gets wrong the other does not. Slow, plain, and strict. One thread.
namespace rproxy::fuzz {

struct StrictMessage {
    std::string method;                                       ///< Of a request.
    std::string target;                                       ///< Of a request.
    int status{0};                                            ///< Of a response.
    int minor{1};                                             ///< HTTP/1.minor.
    std::vector<std::pair<std::string, std::string>> fields;  ///< Names in lower case.
    std::string body;                                         ///< Decoded; as far as it came.
    std::vector<std::pair<std::string, std::string>> trailers;
    bool close_delimited{false};

    /// How much of it there is.
    enum class End : std::uint8_t {
        Whole,
        InHead,   ///< The bytes end within the head.
        InBody,   ///< The bytes end within the body.
        BadHead,  ///< Against the rules, framing included.
        BadBody,  ///< A whole head, then chunking against the rules.
    };
    End end{End::InHead};
    std::size_t size{0};  ///< Bytes of a Whole one.

    std::vector<std::string> values(std::string_view name) const;
    std::optional<std::string> value(std::string_view name) const;
    /// Whether a field that is a list of tokens has this one, in any case.
    bool lists(std::string_view name, std::string_view token) const;
};

/// The request at the start of `bytes`.
StrictMessage strict_request(std::string_view bytes);
/// The response at the start of `bytes` to a request with `method`; `closed`: no more will come.
StrictMessage strict_response(std::string_view bytes, std::string_view method, bool closed);

std::string lower(std::string_view text);

}  // namespace rproxy::fuzz
