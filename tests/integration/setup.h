#pragma once

#include "support/fake_backend.h"
#include "support/proxy_under_test.h"
#include "support/wait_until.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace rproxy::test {

/// The line of the configuration that names these backends.
template <typename... Backends>
std::string to(const Backends&... backends) {
    std::string line;
    ((line += (line.empty() ? "\"" : ", \"") + backends.address() + "\""), ...);
    return "backends: [" + line + "]\n";
}

/// Checks that notice within a moment, and are not late on a busy machine.
inline const std::string kQuickChecks =
    "health_check: {interval: 100ms, timeout: 2s, rise: 2, fall: 3}\n";
/// So slow that only traffic decides.
inline const std::string kNoChecks = "health_check: {interval: 1h, fall: 100}\n";

/// `fields`: whole lines with CRLF.
inline std::string get(const std::string& path, const std::string& fields = {}) {
    return "GET " + path + " HTTP/1.1\r\nHost: test\r\n" + fields + "\r\n";
}
inline std::string post(const std::string& path, const std::string& body,
                        const std::string& fields = {}) {
    return "POST " + path + " HTTP/1.1\r\nHost: test\r\n" + fields +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

/// Bytes in which nothing repeats soon, so that a piece lost, doubled or moved is seen.
inline std::string pattern(std::size_t size) {
    std::string bytes;
    bytes.reserve(size + 8);
    for (std::uint32_t i = 0; bytes.size() < size; ++i) {
        bytes += std::to_string(i);
        bytes += ' ';
    }
    bytes.resize(size);
    return bytes;
}

/// In pieces of uneven sizes.
inline std::vector<std::string> pieces_of(const std::string& body) {
    std::vector<std::string> pieces;
    for (std::size_t at = 0, size = 1; at < body.size(); at += pieces.back().size()) {
        pieces.push_back(body.substr(at, size));
        size = (size * 3) % 40'009;
    }
    return pieces;
}

inline std::string chunked_text(const std::string& body, const std::string& trailers = {}) {
    std::string text;
    for (const auto& piece : pieces_of(body)) {
        std::array<char, 16> digits{};
        const auto end =
            std::to_chars(digits.data(), digits.data() + digits.size(), piece.size(), 16).ptr;
        text.append(digits.data(), end);
        text += "\r\n" + piece + "\r\n";
    }
    return text + "0\r\n" + trailers + "\r\n";
}

/// The connections over which requests came; probes have none.
inline std::set<std::uint64_t> connections_of(const FakeBackend& backend) {
    std::set<std::uint64_t> numbers;
    for (const auto& request : backend.requests()) {
        numbers.insert(request.connection);
    }
    return numbers;
}

}  // namespace rproxy::test
