#include "http/head.h"
#include "http/syntax.h"
#include "http/target.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

void require(bool condition) {
    if (!condition) {
        std::abort();
    }
}

void check_path(std::string_view path) {
    using namespace rproxy::http;  // NOLINT(google-build-using-namespace): one function
    const auto normalized = normalized_path(path);
    require(normalized.starts_with('/'));
    // Routing must not be led around a prefix: nothing is left that another look would remove.
    require((normalized + "/").find("/../") == std::string::npos);
    require((normalized + "/").find("/./") == std::string::npos);
    require(normalized_path(path) == normalized);
    require(needs_normalizing(path) || normalized == path);
}

}  // namespace

/// The first line is the method, the second the target, each further one a Host field: any of them
/// are a target or an error, and what is taken is what the RFCs allow.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    using namespace rproxy::http;  // NOLINT(google-build-using-namespace): one function
    std::string_view rest(reinterpret_cast<const char*>(bytes), size);
    const auto line = [&rest] {
        const auto end = rest.find('\n');
        const auto text = rest.substr(0, end);
        rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
        return text;
    };
    RequestHead head;
    head.method_text = line();
    head.method = parse_method(head.method_text);
    head.version = head.method_text.ends_with('0') ? Version::Http10 : Version::Http11;
    head.target = line();
    while (!rest.empty()) {
        head.fields.push_back({"Host", line(), FieldId::Host});
    }
    const auto target = parse_target(head);
    if (!target) {
        require(!to_string(target.error()).empty());
        return 0;
    }
    require(head.method != Method::Connect && head.fields.size() <= 1);
    require(is_visible_ascii(target->origin_form) && is_visible_ascii(target->host));
    require(target->host.empty() ? head.version == Version::Http10 : is_valid_host(target->host));
    require(target->origin_form.find('#') == std::string_view::npos);
    if (target->path == "*") {
        require(head.method == Method::Options && target->origin_form == "*");
        return 0;
    }
    require(target->path.starts_with('/'));
    check_path(target->path);
    return 0;
}
