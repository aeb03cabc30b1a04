#include "fuzz/heads.h"
#include "http/framing.h"
#include "http1/head_parser.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

/// Any bytes are a response head, or an error, or the start of one; wherever they are cut while
/// they arrive.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    using namespace rproxy;  // NOLINT(google-build-using-namespace): one function
    const std::string_view text(reinterpret_cast<const char*>(bytes), size);
    const http1::HeadLimits limits{.header_bytes = 2048, .header_count = 16, .request_line = 2048};
    const auto end = fuzz::head_end_at_every_split(text, limits);
    if (!end) {
        return 0;
    }
    const auto whole = text.substr(0, *end);
    http::ResponseHead head;
    if (!http1::parse_response_head(whole, limits, head)) {
        return 0;
    }
    fuzz::require(head.status >= 100 && head.status <= 599);
    fuzz::require(fuzz::is_within(head.reason, whole) && !fuzz::has_control(head.reason));
    fuzz::require_sound_fields(head.fields, whole, limits);
    for (const auto method : {http::Method::Get, http::Method::Head}) {
        const auto framing = http::response_framing(head, method);
        if (framing && framing->kind != http::BodyFraming::Kind::None) {
            fuzz::require_one_framing(head.fields, *framing);
        }
    }
    return 0;
}
