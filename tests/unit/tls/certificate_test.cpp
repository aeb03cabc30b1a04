#include "tls/certificate.h"

#include "support/certificates.h"

#include <gtest/gtest.h>

#include <string>

namespace rproxy::tls {
namespace {

using test::CertificateRequest;
using test::TestAuthority;

WallTime now() {
    return std::chrono::system_clock::now();
}

std::string warnings(const LoadedCertificate& loaded) {
    std::string text;
    for (const auto& warning : loaded.warnings) {
        text += warning.message + "\n";
    }
    return text;
}

TEST(Certificate, TellsWhatIsInIt) {
    const TestAuthority authority;
    const auto pair = authority.issue(
        {.names = {"Shop.Example.com", "*.example.com"}, .key = CertificateRequest::Key::Rsa2048});
    const auto loaded = load_certificate({pair.cert + authority.cert(), pair.key, {}}, now());
    ASSERT_TRUE(loaded);
    const auto& certificate = loaded->certificate;
    EXPECT_EQ(certificate.names, (std::vector<std::string>{"shop.example.com", "*.example.com"}));
    EXPECT_EQ(certificate.label(), "shop.example.com");
    EXPECT_EQ(certificate.kind, KeyKind::Rsa);
    EXPECT_EQ(certificate.chain.size(), 1U);
    EXPECT_EQ(certificate.fingerprint.size(), 64U);
    EXPECT_FALSE(check_dates(certificate, now()));
    EXPECT_EQ(warnings(*loaded), "");
}

TEST(Certificate, UsesTheSubjectWhereThereAreNoOtherNames) {
    const auto pair = TestAuthority().issue({.names = {}, .common_name = "Old.Example"});
    const auto loaded = load_certificate({pair.cert, pair.key, {}}, now());
    ASSERT_TRUE(loaded);
    EXPECT_EQ(loaded->certificate.names, std::vector<std::string>{"old.example"});
}

TEST(Certificate, WarnsOfAMissingIntermediateAndOfDisorder) {
    const TestAuthority root;
    const auto intermediate = root.intermediate();
    const auto pair = intermediate.issue();
    const auto alone = load_certificate({pair.cert, pair.key, {}}, now());
    ASSERT_TRUE(alone);
    EXPECT_NE(warnings(*alone).find("issuer CN=Test Intermediate"), std::string::npos);
    const auto with_root = load_certificate({pair.cert + root.cert(), pair.key, {}}, now());
    ASSERT_TRUE(with_root);
    EXPECT_NE(warnings(*with_root).find("behind one that it did not sign"), std::string::npos);
    const auto whole =
        load_certificate({pair.cert + intermediate.cert() + root.cert(), pair.key, {}}, now());
    ASSERT_TRUE(whole);
    EXPECT_EQ(warnings(*whole), "");
}

TEST(Certificate, TakesOnlyAnOcspResponseAboutItself) {
    const TestAuthority authority;
    const auto pair = authority.issue();
    const auto other = authority.issue();
    const auto with = [&](const std::string& ocsp) {
        return load_certificate({pair.cert + authority.cert(), pair.key, ocsp}, now());
    };
    const auto good = with(authority.ocsp(pair.cert));
    ASSERT_TRUE(good);
    EXPECT_FALSE(good->certificate.ocsp.empty());
    const auto late = with(authority.ocsp(pair.cert, true, std::chrono::hours{-1}));
    ASSERT_TRUE(late);
    EXPECT_TRUE(late->certificate.ocsp.empty());
    EXPECT_NE(warnings(*late).find("is out of date"), std::string::npos);
    const auto message = [&](const std::string& ocsp) {
        const auto loaded = with(ocsp);
        return loaded ? std::string() : loaded.error().message;
    };
    EXPECT_EQ(message(authority.ocsp(other.cert)), "is a response about another certificate");
    EXPECT_EQ(message(authority.ocsp(pair.cert, false)), "says that the certificate is revoked");
    EXPECT_EQ(message("nonsense"), "is no successful OCSP response in DER");
}

}  // namespace
}  // namespace rproxy::tls
