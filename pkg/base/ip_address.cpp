#include "base/ip_address.h"

#include "base/hash.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace rproxy {

namespace {
constexpr std::size_t kMappedPrefix = 12;  // bytes before the IPv4 part of ::ffff:a.b.c.d
}

IpAddress IpAddress::v4(std::uint32_t host_order) {
    IpAddress address;
    for (std::size_t i = 0; i < 4; ++i) {
        address.bytes_[kMappedPrefix + i] = static_cast<std::uint8_t>(host_order >> (24 - 8 * i));
    }
    return address;
}

IpAddress IpAddress::v6(const std::array<std::uint8_t, 16>& network_order) {
    IpAddress address;
    address.is_v4_ = std::equal(network_order.begin(), network_order.begin() + kMappedPrefix,
                                address.bytes_.begin());
    address.bytes_ = network_order;
    return address;
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
    if (text.find('\0') != std::string_view::npos) {
        return std::nullopt;  // inet_pton would take what stands before it
    }
    const std::string terminated(text);
    in_addr four{};
    if (inet_pton(AF_INET, terminated.c_str(), &four) == 1) {
        return v4(ntohl(four.s_addr));
    }
    std::array<std::uint8_t, 16> six{};
    if (inet_pton(AF_INET6, terminated.c_str(), six.data()) == 1) {
        return v6(six);
    }
    return std::nullopt;
}

bool IpAddress::is_loopback() const {
    if (is_v4_) {
        return bytes_[kMappedPrefix] == 127;
    }
    return std::all_of(bytes_.begin(), bytes_.end() - 1, [](auto b) { return b == 0; }) &&
           bytes_.back() == 1;
}

std::uint32_t IpAddress::to_v4() const {
    std::uint32_t value = 0;
    for (std::size_t i = kMappedPrefix; i < bytes_.size(); ++i) {
        value = value << 8U | bytes_[i];
    }
    return value;
}

std::string IpAddress::to_string() const {
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (is_v4_) {
        inet_ntop(AF_INET, bytes_.data() + kMappedPrefix, text.data(), text.size());
    } else {
        inet_ntop(AF_INET6, bytes_.data(), text.data(), text.size());
    }
    return text.data();
}

std::uint64_t IpAddress::hash() const {
    std::uint64_t high = 0;
    std::uint64_t low = 0;
    for (std::size_t i = 0; i < 8; ++i) {
        high = high << 8U | bytes_[i];
        low = low << 8U | bytes_[8 + i];
    }
    return combine_hashes(high, low);
}

std::optional<Cidr> Cidr::parse(std::string_view text) {
    const auto slash = text.find('/');
    const auto address = IpAddress::parse(text.substr(0, slash));
    if (!address) {
        return std::nullopt;
    }
    const unsigned longest = address->is_v4() ? 32 : 128;
    if (slash == std::string_view::npos) {
        return Cidr{*address, static_cast<std::uint8_t>(longest)};
    }
    const auto digits = text.substr(slash + 1);
    unsigned prefix = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), prefix);
    if (error != std::errc{} || end != digits.data() + digits.size() || prefix > longest) {
        return std::nullopt;
    }
    return Cidr{*address, static_cast<std::uint8_t>(prefix)};
}

bool Cidr::contains(const IpAddress& address) const {
    if (address.is_v4() != network.is_v4()) {
        return false;
    }
    const std::size_t bits = prefix + (network.is_v4() ? 8 * kMappedPrefix : 0);
    const std::size_t whole = bits / 8;
    if (!std::equal(address.bytes().begin(),
                    address.bytes().begin() + static_cast<std::ptrdiff_t>(whole),
                    network.bytes().begin())) {
        return false;
    }
    const std::size_t rest = bits % 8;
    if (rest == 0) {
        return true;
    }
    const auto mask = static_cast<std::uint8_t>(0xff00U >> rest);
    return (address.bytes()[whole] & mask) == (network.bytes()[whole] & mask);
}

std::string Cidr::to_string() const {
    return network.to_string() + "/" + std::to_string(prefix);
}

}  // namespace rproxy
