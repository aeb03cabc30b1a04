#include "http/field.h"

#include "base/strings.h"

#include <array>

namespace rproxy::http {

namespace {

struct Known {
    std::string_view name;  // lower case
    FieldId id;
};

constexpr std::array<Known, 23> kKnown{{{"connection", FieldId::Connection},
                                        {"content-length", FieldId::ContentLength},
                                        {"cookie", FieldId::Cookie},
                                        {"expect", FieldId::Expect},
                                        {"forwarded", FieldId::Forwarded},
                                        {"host", FieldId::Host},
                                        {"keep-alive", FieldId::KeepAlive},
                                        {"location", FieldId::Location},
                                        {"proxy-authenticate", FieldId::ProxyAuthenticate},
                                        {"proxy-connection", FieldId::ProxyConnection},
                                        {"server", FieldId::Server},
                                        {"te", FieldId::Te},
                                        {"traceparent", FieldId::Traceparent},
                                        {"trailer", FieldId::Trailer},
                                        {"transfer-encoding", FieldId::TransferEncoding},
                                        {"upgrade", FieldId::Upgrade},
                                        {"x-forwarded-for", FieldId::XForwardedFor},
                                        {"x-forwarded-host", FieldId::XForwardedHost},
                                        {"x-forwarded-port", FieldId::XForwardedPort},
                                        {"x-forwarded-proto", FieldId::XForwardedProto},
                                        {"x-powered-by", FieldId::XPoweredBy},
                                        {"x-request-id", FieldId::XRequestId},
                                        {"x-rproxy-reason", FieldId::XRproxyReason}}};

constexpr std::size_t kLongestName = 18;

/// Known names by length and first letter: almost every unknown name is told apart by one look.
struct Index {
    // At most four known names share a length and a first letter.
    std::array<std::array<std::array<std::uint8_t, 4>, 32>, kLongestName + 1> at{};

    constexpr Index() {
        for (std::size_t i = 0; i < kKnown.size(); ++i) {
            auto& bucket = at[kKnown[i].name.size()][kKnown[i].name[0] & 31];
            for (auto& entry : bucket) {
                if (entry == 0) {
                    entry = static_cast<std::uint8_t>(i + 1);
                    break;
                }
            }
        }
    }
};
constexpr Index kIndex;

}  // namespace

FieldId classify(std::string_view name) {
    if (name.empty() || name.size() > kLongestName) {
        return FieldId::Other;
    }
    for (const std::uint8_t entry : kIndex.at[name.size()][name[0] & 31]) {
        if (entry == 0) {
            return FieldId::Other;
        }
        const Known& known = kKnown[entry - 1U];
        std::size_t i = 0;
        while (i < name.size() && ascii_lower(name[i]) == known.name[i]) {
            ++i;
        }
        if (i == name.size()) {
            return known.id;
        }
    }
    return FieldId::Other;
}

bool list_contains(std::string_view list, std::string_view token) {
    bool found = false;
    for_each_element(list, [&](std::string_view element) {
        found = equals_ignoring_case(element, token);
        return !found;
    });
    return found;
}

std::string_view cookie_value(std::string_view cookies, std::string_view name) {
    std::string_view found;
    for_each_cookie(cookies, name, [&](std::string_view value) {
        found = value;
        return false;
    });
    return found;
}

}  // namespace rproxy::http
