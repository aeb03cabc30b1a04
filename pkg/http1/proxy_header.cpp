#include "http1/proxy_header.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace rproxy::http1 {

namespace {

using Result = std::expected<std::optional<ProxyHeader>, ProxyHeaderError>;

constexpr std::string_view kPrefix1 = "PROXY ";
/// CRLF included (section 2.1).
constexpr std::size_t kLongestLine = 107;

constexpr std::string_view kSignature2{"\r\n\r\n\0\r\nQUIT\n", 12};
constexpr std::size_t kFixedSize2 = 16;

std::unexpected<ProxyHeaderError> malformed() {
    return std::unexpected{ProxyHeaderError::Malformed};
}

bool agrees(std::string_view bytes, std::string_view start) {
    const auto size = std::min(bytes.size(), start.size());
    return bytes.substr(0, size) == start.substr(0, size);
}

/// The next word of a line whose words have exactly one space between them.
std::string_view next_word(std::string_view& rest) {
    const auto space = rest.find(' ');
    const auto word = rest.substr(0, space);
    rest = space == std::string_view::npos ? std::string_view{} : rest.substr(space + 1);
    return word;
}

/// Decimal without leading zeros, which some would read as octal.
std::optional<std::uint16_t> parse_port(std::string_view text) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    const bool whole = error == std::errc{} && end == text.data() + text.size();
    return whole && (text.size() == 1 || text.front() != '0') ? std::optional(port) : std::nullopt;
}

/// An address of the family that the line announced; an IPv4-mapped one is written as IPv6.
std::optional<IpAddress> parse_ip(std::string_view text, bool v6) {
    const bool written_as_v6 = text.find(':') != std::string_view::npos;
    return written_as_v6 == v6 ? IpAddress::parse(text) : std::nullopt;
}

Result parse_line(std::string_view bytes) {
    const auto feed = bytes.substr(0, kLongestLine).find('\n');
    if (feed == std::string_view::npos) {
        return bytes.size() < kLongestLine ? Result{std::nullopt} : malformed();
    }
    auto rest = bytes.substr(kPrefix1.size(), feed - kPrefix1.size());
    if (!rest.ends_with('\r') || rest.find('\r') != rest.size() - 1) {
        return malformed();
    }
    rest.remove_suffix(1);
    ProxyHeader header{feed + 1, {}};
    const auto protocol = next_word(rest);
    if (protocol == "UNKNOWN") {
        return header;  // what else the line says is to be ignored
    }
    if (protocol != "TCP4" && protocol != "TCP6") {
        return malformed();
    }
    const bool v6 = protocol == "TCP6";
    const auto source = parse_ip(next_word(rest), v6);
    const auto destination = parse_ip(next_word(rest), v6);
    const auto source_port = parse_port(next_word(rest));
    const auto destination_port = parse_port(rest);
    if (!source || !destination || !source_port || !destination_port) {
        return malformed();
    }
    header.source = {*source, *source_port};
    return header;
}

std::uint8_t byte_at(std::string_view bytes, std::size_t at) {
    return static_cast<std::uint8_t>(bytes[at]);
}

std::uint16_t number_at(std::string_view bytes, std::size_t at) {
    return static_cast<std::uint16_t>(byte_at(bytes, at) << 8U | byte_at(bytes, at + 1));
}

IpAddress v4_of(std::string_view addresses) {
    return IpAddress::v4(std::uint32_t{number_at(addresses, 0)} << 16U | number_at(addresses, 2));
}

IpAddress v6_of(std::string_view addresses) {
    std::array<std::uint8_t, 16> ip{};
    for (std::size_t i = 0; i < ip.size(); ++i) {
        ip.at(i) = byte_at(addresses, i);
    }
    return IpAddress::v6(ip);
}

/// Both addresses, then (but for unix) both ports, the source's first.
std::expected<std::optional<ProxyHeader::Source>, ProxyHeaderError> parse_addresses(
    std::uint8_t family, std::string_view addresses) {
    constexpr std::array<std::size_t, 4> kSizes{0, 12, 36, 216};
    if (addresses.size() < kSizes.at(family)) {
        return malformed();
    }
    switch (family) {
        case 1:
            return ProxyHeader::Source{v4_of(addresses), number_at(addresses, 8)};
        case 2:
            return ProxyHeader::Source{v6_of(addresses), number_at(addresses, 32)};
        default:
            return std::nullopt;
    }
}

Result parse_binary(std::string_view bytes) {
    constexpr std::size_t kCommandAt = 12;
    constexpr std::size_t kFamilyAt = 13;
    constexpr std::uint8_t kLocal = 0x20;
    constexpr std::uint8_t kProxy = 0x21;
    if (bytes.size() <= kCommandAt) {
        return std::nullopt;
    }
    const auto command = byte_at(bytes, kCommandAt);
    if (command != kLocal && command != kProxy) {
        return malformed();
    }
    if (bytes.size() <= kFamilyAt) {
        return std::nullopt;
    }
    const auto family = static_cast<std::uint8_t>(byte_at(bytes, kFamilyAt) >> 4U);
    const auto transport = static_cast<std::uint8_t>(byte_at(bytes, kFamilyAt) & 15U);
    // A LOCAL header's family must be ignored. UDP is the client's, who spoke HTTP/3 to the sender.
    if (command == kProxy && (family > 3 || transport > 2)) {
        return malformed();
    }
    if (bytes.size() < kFixedSize2) {
        return std::nullopt;
    }
    const std::size_t length = number_at(bytes, kFixedSize2 - 2);
    if (bytes.size() < kFixedSize2 + length) {
        return std::nullopt;
    }
    ProxyHeader header{kFixedSize2 + length, {}};
    if (command == kProxy && transport != 0) {
        const auto source = parse_addresses(family, bytes.substr(kFixedSize2, length));
        if (!source) {
            return malformed();
        }
        header.source = *source;
    }
    return header;
}

}  // namespace

Result parse_proxy_header(std::string_view bytes) {
    if (agrees(bytes, kPrefix1)) {
        return bytes.size() < kPrefix1.size() ? Result{std::nullopt} : parse_line(bytes);
    }
    if (agrees(bytes, kSignature2)) {
        return parse_binary(bytes);
    }
    return std::unexpected{ProxyHeaderError::Missing};
}

}  // namespace rproxy::http1
