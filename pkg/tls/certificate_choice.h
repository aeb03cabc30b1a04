#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rproxy::tls {

/// Which certificates a client is shown, by the name it asks for (SNI). Pure; immutable.
///
/// An exact name wins over a wildcard, which stands for one label. Of each kind of key the first
/// certificate with the name is taken, so that RSA and ECDSA stand side by side and the handshake
/// takes what the client can do; a kind that only the wildcard has is taken from there. A name that
/// nobody has gets what the first certificate's own name would get.
class CertificateChoice {
public:
    struct Candidate {
        std::span<const std::string> names;  ///< Lower case.
        std::size_t kind{0};                 ///< Equal numbers stand in for each other.
    };
    /// Indexes of candidates, one of each kind.
    using Set = std::vector<std::size_t>;

    explicit CertificateChoice(std::span<const Candidate> candidates);

    /// Every different set; find() gives indexes into these. The first is the default.
    const std::vector<Set>& sets() const { return sets_; }
    /// `name` as the client sent it: any case. Empty: it sent none.
    std::size_t find(std::string_view name) const;
    /// Whether `name` is that of a certificate.
    bool knows(std::string_view name) const { return look_up(name).has_value(); }

private:
    using Names = std::map<std::string, Set, std::less<>>;

    std::optional<std::size_t> look_up(std::string_view name) const;
    std::size_t index_of(const Set& set);

    std::vector<Set> sets_;
    std::map<std::string, std::size_t, std::less<>> exact_;
    std::map<std::string, std::size_t, std::less<>> wildcard_;  // without the `*`
};

}  // namespace rproxy::tls
