#include "base/strings.h"
#include "config/types.h"

#include <algorithm>
#include <string>
#include <utility>

namespace rproxy::config {

namespace {

constexpr std::string_view kBackendForm = "host:port, [v6]:port or unix:/path";
constexpr std::string_view kListenerForm = "ip:port, [v6]:port or unix:/path";

/// What people write who are used to other proxies, put right.
std::string address_hint(std::string_view text, AddressOf whose) {
    const auto scheme = text.find("://");
    if (scheme != std::string_view::npos) {
        const auto rest = text.substr(scheme + 3);
        const bool tls = text.starts_with("https");
        return "leave out the scheme: " + std::string(rest.substr(0, rest.find('/'))) +
               (tls ? ", and set 'tls' for an encrypted connection" : "");
    }
    const bool digits = text.find_first_not_of("0123456789") == std::string_view::npos;
    if (whose == AddressOf::Listener &&
        (text.starts_with(':') || text.starts_with("*:") || digits)) {
        const auto colon = text.find(':');
        return "for all addresses write 0.0.0.0:" +
               std::string(colon == std::string_view::npos ? text : text.substr(colon + 1));
    }
    if (text.starts_with('/')) {
        return "a unix socket is written unix:" + std::string(text);
    }
    return {};
}

void read_address(Reader& reader, const Node& node, Endpoint& value, AddressOf whose) {
    const bool listener = whose == AddressOf::Listener;
    const auto form = listener ? kListenerForm : kBackendForm;
    if (!node.is_scalar()) {
        reader.fail_type(node, form);
        return;
    }
    auto parsed = Endpoint::parse(node.text, listener);
    const bool control = std::ranges::any_of(
        node.text, [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f; });
    if (control || !parsed) {
        const std::string hint = control ? "write it without white space and control characters"
                                         : address_hint(node.text, whose);
        reader.fail(node.at,
                    hint.empty() ? parsed.error() : quoted(node.text) + " is not an address", hint);
        return;
    }
    if (listener && !parsed->is_unix() && !parsed->ip()) {
        const bool localhost = parsed->host == "localhost";
        reader.fail(node.at,
                    quoted(node.text) + " is a name, but only an IP address can be listened on",
                    localhost ? "write 127.0.0.1:" + std::to_string(parsed->port)
                              : "for all addresses write 0.0.0.0:" + std::to_string(parsed->port));
        return;
    }
    value = *std::move(parsed);
}

}  // namespace

Type<Endpoint> address(AddressOf whose) {
    return {
        .shape = {.kind = Shape::Kind::Text,
                  .name = std::string(whose == AddressOf::Backend ? kBackendForm : kListenerForm),
                  .pattern =
                      R"(^(unix:/.+|\[[0-9a-fA-F:.]+\]:[0-9]{1,5}|[A-Za-z0-9._-]+:[0-9]{1,5})$)"},
        .read = [whose](Reader& reader, const Node& node,
                        Endpoint& value) { read_address(reader, node, value, whose); },
        .write = [](const Endpoint& value) { return Node::string(value.to_string()); }};
}

}  // namespace rproxy::config
