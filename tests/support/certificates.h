#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace rproxy::test {

/// What to put into a certificate.
struct CertificateRequest {
    std::vector<std::string> names{"localhost"};  ///< DNS names, or IP addresses.
    std::string common_name{};                    ///< Empty: the first name.
    enum class Key : std::uint8_t { P256, Rsa2048, Rsa1024, Ed25519 };
    Key key{Key::P256};
    std::chrono::hours begins{-1};  ///< From now.
    std::chrono::hours ends{24};
    bool authority{false};
};

/// PEM texts.
struct CertificatePair {
    std::string cert;
    std::string key;
};

/// A certificate authority that exists for a test. One thread.
class TestAuthority {
public:
    explicit TestAuthority(const std::string& name = "Test Root");
    ~TestAuthority();
    TestAuthority(const TestAuthority&) = delete;
    TestAuthority& operator=(const TestAuthority&) = delete;
    TestAuthority(TestAuthority&&) noexcept;
    TestAuthority& operator=(TestAuthority&&) noexcept;

    /// Its own certificate.
    const std::string& cert() const;
    CertificatePair issue(const CertificateRequest& request = {}) const;
    /// One that this one signed; its own certificate is an intermediate.
    TestAuthority intermediate(const std::string& name = "Test Intermediate") const;
    /// An OCSP response (DER) that says that `cert` (PEM) is good, or revoked.
    std::string ocsp(const std::string& cert, bool good = true,
                     std::chrono::hours until = std::chrono::hours{24}) const;

private:
    struct Parts;
    explicit TestAuthority(std::unique_ptr<Parts> parts);
    std::unique_ptr<Parts> parts_;
};

/// The same key, encrypted with a passphrase.
std::string encrypted_key(const std::string& key);

}  // namespace rproxy::test
