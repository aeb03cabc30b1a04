#include "support/http_text.h"

#include "base/strings.h"

#include <charconv>
#include <cstdint>
#include <system_error>
#include <vector>

namespace rproxy::test {

namespace {

std::vector<std::string> fields(std::string_view head, std::string_view name) {
    std::vector<std::string> found;
    auto line_end = head.find("\r\n");
    while (line_end != std::string_view::npos) {
        const auto begin = line_end + 2;
        line_end = head.find("\r\n", begin);
        const auto line = head.substr(begin, line_end - begin);
        const auto colon = line.find(':');
        if (colon != std::string_view::npos && equals_ignoring_case(line.substr(0, colon), name)) {
            found.emplace_back(trim(line.substr(colon + 1)));
        }
    }
    return found;
}

}  // namespace

std::optional<std::string> field(std::string_view head, std::string_view name) {
    const auto found = fields(head, name);
    return found.empty() ? std::nullopt : std::optional(found.front());
}

std::size_t count_fields(std::string_view head, std::string_view name) {
    return fields(head, name).size();
}

std::optional<std::size_t> head_size(std::string_view bytes) {
    const auto end = bytes.find("\r\n\r\n");
    return end == std::string_view::npos ? std::nullopt : std::optional(end + 4);
}

std::optional<std::size_t> ChunkScanner::scan(std::string_view bytes) {
    while (true) {
        const auto line_end = bytes.find("\r\n", at_);
        if (line_end == std::string_view::npos) {
            return std::nullopt;
        }
        std::size_t size = 0;
        const auto parsed = std::from_chars(bytes.data() + at_, bytes.data() + line_end, size, 16);
        if (parsed.ec != std::errc{}) {
            return std::nullopt;
        }
        const auto data = line_end + 2;
        if (size == 0) {
            // The last chunk's line end, then trailer lines, then an empty one.
            const auto end = bytes.find("\r\n\r\n", line_end);
            if (end == std::string_view::npos) {
                return std::nullopt;
            }
            trailers_ = end == line_end ? "" : std::string(bytes.substr(data, end + 2 - data));
            return end + 4;
        }
        if (bytes.size() < data + size + 2) {
            return std::nullopt;
        }
        content_ += bytes.substr(data, size);
        at_ = data + size + 2;
    }
}

}  // namespace rproxy::test
