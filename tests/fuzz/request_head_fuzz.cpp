#include "fuzz/heads.h"
#include "http/framing.h"
#include "http/target.h"
#include "http1/head_parser.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

/// Any bytes are a request head, or an error, or the start of one; wherever they are cut while they
/// arrive. What is taken holds nothing that another parser could take for something else.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    using namespace rproxy;  // NOLINT(google-build-using-namespace): one function
    const std::string_view text(reinterpret_cast<const char*>(bytes), size);
    const http1::HeadLimits limits{.header_bytes = 2048, .header_count = 16, .request_line = 512};
    const auto end = fuzz::head_end_at_every_split(text, limits);
    if (!end) {
        return 0;
    }
    const auto whole = text.substr(0, *end);
    http::RequestHead head;
    if (!http1::parse_request_head(whole, limits, head)) {
        return 0;
    }
    fuzz::require(!head.method_text.empty() && fuzz::is_within(head.method_text, whole));
    fuzz::require(!head.target.empty() && fuzz::is_within(head.target, whole));
    fuzz::require_sound_fields(head.fields, whole, limits);
    const auto framing = http::request_framing(head);
    if (framing) {
        fuzz::require(framing->kind != http::BodyFraming::Kind::UntilClose);
        fuzz::require_one_framing(head.fields, *framing);
    }
    const auto target = http::parse_target(head);
    if (target) {
        fuzz::require(head.method != http::Method::Connect);
        fuzz::require(!target->host.empty() || head.version == http::Version::Http10);
    }
    return 0;
}
