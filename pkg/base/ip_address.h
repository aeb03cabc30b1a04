#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace rproxy {

/// An IPv4 or IPv6 address by value. An IPv4-mapped IPv6 address (::ffff:a.b.c.d) is held as IPv4,
/// so that a dual-stack listener's clients match IPv4 networks.
class IpAddress {
public:
    IpAddress() = default;  ///< 0.0.0.0
    static IpAddress v4(std::uint32_t host_order);
    static IpAddress v6(const std::array<std::uint8_t, 16>& network_order);
    /// Accepts dotted decimal and RFC 4291 text without zone or brackets.
    static std::optional<IpAddress> parse(std::string_view text);

    bool is_v4() const { return is_v4_; }
    bool is_loopback() const;
    std::uint32_t to_v4() const;  ///< Host order; only for is_v4().
    /// 16 bytes in network order; IPv4 in its mapped form.
    const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }
    std::string to_string() const;
    /// The same for the same address on every machine.
    std::uint64_t hash() const;
    friend auto operator<=>(const IpAddress&, const IpAddress&) = default;

private:
    std::array<std::uint8_t, 16> bytes_{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0};
    bool is_v4_{true};
};

/// A network in CIDR form; an address alone is a network of one.
struct Cidr {
    IpAddress network;
    std::uint8_t prefix{0};  ///< Bits, counted in the address's own family.

    static std::optional<Cidr> parse(std::string_view text);
    bool contains(const IpAddress& address) const;
    std::string to_string() const;
    friend auto operator<=>(const Cidr&, const Cidr&) = default;
};

}  // namespace rproxy
