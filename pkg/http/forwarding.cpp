#include "http/forwarding.h"

#include "base/strings.h"
#include "http/syntax.h"

#include <algorithm>
#include <array>
#include <ranges>

namespace rproxy::http {

namespace {

void append_field(Buffer& out, std::string_view name, std::string_view value) {
    out.append(name);
    out.append(": ");
    out.append(value);
    out.append("\r\n");
}

void append_framing(Buffer& out, const BodyFraming& framing) {
    if (framing.kind == BodyFraming::Kind::Chunked) {
        out.append("Transfer-Encoding: chunked\r\n");
    } else if (framing.kind == BodyFraming::Kind::Length) {
        out.append("Content-Length: ");
        out.append_number(framing.length);
        out.append("\r\n");
    }
}

/// Fields that end at each hop whether Connection names them or not (RFC 9110 §7.6.1), and the
/// framing, which is written anew.
bool is_hop_by_hop(FieldId id) {
    switch (id) {
        case FieldId::Connection:
        case FieldId::KeepAlive:
        case FieldId::ProxyConnection:
        case FieldId::Te:
        case FieldId::TransferEncoding:
        case FieldId::ContentLength:
        case FieldId::Upgrade:
            return true;
        default:
            return false;
    }
}

/// Belongs to an h2c upgrade, which is not passed on (http::wants_upgrade).
constexpr std::string_view kHttp2Settings = "http2-settings";

/// Fields that write_request_head sets itself.
bool is_rewritten_in_requests(FieldId id) {
    switch (id) {
        case FieldId::Host:
        case FieldId::XForwardedFor:
        case FieldId::XForwardedHost:
        case FieldId::XForwardedPort:
        case FieldId::XForwardedProto:
        case FieldId::XRequestId:
        case FieldId::Traceparent:
        case FieldId::XRproxyReason:
            return true;
        default:
            return false;
    }
}

/// Whether `name` means one of the fields above to a backend that turns `-` into `_` (CGI, WSGI and
/// their kin): `X_Forwarded_For` would speak for the proxy.
bool poses_as_ours(std::string_view name) {
    std::array<char, std::string_view("X-Forwarded-Proto").size()> dashed{};
    if (name.size() > dashed.size() || ascii_lower(name.front()) != 'x' ||
        name.find('_') == std::string_view::npos) {
        return false;
    }
    std::ranges::replace_copy(name, dashed.begin(), '_', '-');
    return is_rewritten_in_requests(classify({dashed.data(), name.size()}));
}

/// Whether only we may say what `name` says of a client's certificate, be it only to a backend that
/// turns `-` into `_`.
bool speaks_of_certificate(std::string_view name, const RequestEdits& edits) {
    // The connection's own field need not be among those of the plan: it may be of another one.
    return (!edits.subject_field.empty() && reads_as(name, edits.subject_field)) ||
           std::ranges::any_of(edits.certificate_fields,
                               [&](const std::string& field) { return reads_as(name, field); });
}

/// Framing and routing are decided before Connection is looked at; naming these there must not make
/// them disappear (a known way to desynchronise or to lose X-Forwarded-For).
bool is_protected(FieldId id) {
    return id == FieldId::Host || id == FieldId::ContentLength;
}

std::string_view first_value(const RequestHead& head, FieldId id) {
    const Field* field = head.find(id);
    return field == nullptr ? std::string_view{} : field->value;
}

void append_forwarded_for(const RequestHead& head, const ClientIdentity& client, Buffer& out) {
    out.append("X-Forwarded-For: ");
    if (client.peer_trusted) {
        for (const Field& field : head.fields) {
            if (field.id == FieldId::XForwardedFor && !field.value.empty()) {
                out.append(field.value);
                out.append(", ");
            }
        }
    }
    if (client.peer.is_v4()) {
        const std::uint32_t ip = client.peer.to_v4();
        out.append_number(ip >> 24U);
        out.append('.');
        out.append_number(ip >> 16U & 255U);
        out.append('.');
        out.append_number(ip >> 8U & 255U);
        out.append('.');
        out.append_number(ip & 255U);
    } else {
        out.append(client.peer.to_string());
    }
    out.append("\r\n");
}

void append_forwarded(const RequestHead& head, const Target& target, const RequestEdits& edits,
                      Buffer& out) {
    append_forwarded_for(head, edits.client, out);
    const bool trusted = edits.client.peer_trusted;
    const auto proto = trusted ? first_value(head, FieldId::XForwardedProto) : std::string_view{};
    const std::string_view ours = edits.tls ? "https" : "http";
    append_field(out, "X-Forwarded-Proto", proto.empty() ? ours : proto);
    const auto host = trusted ? first_value(head, FieldId::XForwardedHost) : std::string_view{};
    if (!host.empty() || !target.host.empty()) {
        append_field(out, "X-Forwarded-Host", host.empty() ? target.host : host);
    }
    const auto port = trusted ? first_value(head, FieldId::XForwardedPort) : std::string_view{};
    if (!port.empty()) {
        append_field(out, "X-Forwarded-Port", port);
    } else {
        out.append("X-Forwarded-Port: ");
        out.append_number(edits.listener_port);
        out.append("\r\n");
    }
}

}  // namespace

bool reads_as(std::string_view name, std::string_view field) {
    return std::ranges::equal(name, field, [](char a, char b) {
        return ascii_lower(a == '_' ? '-' : a) == ascii_lower(b == '_' ? '-' : b);
    });
}

ConnectionOptions::ConnectionOptions(std::span<const Field> fields) : fields_(fields) {
    for (const Field& field : fields) {
        if (field.id != FieldId::Connection) {
            continue;
        }
        for_each_element(field.value, [this](std::string_view element) {
            const bool usual = equals_ignoring_case(element, "keep-alive") ||
                               equals_ignoring_case(element, "close");
            if (!usual && size_ < kMost) {
                names_[size_++] = element;
            } else {
                more_ = more_ || !usual;
            }
            return true;
        });
    }
}

bool ConnectionOptions::names(std::string_view name) const {
    for (std::size_t i = 0; i < size_; ++i) {
        if (equals_ignoring_case(names_[i], name)) {
            return true;
        }
    }
    return more_ && std::ranges::any_of(fields_, [&](const Field& field) {
               return field.id == FieldId::Connection && list_contains(field.value, name);
           });
}

ClientIdentity identify_client(const IpAddress& peer, std::span<const Cidr> trusted,
                               std::span<const Field> fields) {
    const auto is_trusted = [&](const IpAddress& address) {
        return std::ranges::any_of(trusted,
                                   [&](const Cidr& network) { return network.contains(address); });
    };
    ClientIdentity client{peer, peer, is_trusted(peer)};
    if (!client.peer_trusted) {
        return client;
    }
    // From the nearest hop to the farthest: the first one that is not ours is the client. The
    // fields are one list in the order they came (RFC 9110 §5.3).
    for (const Field& field : fields | std::views::reverse) {
        if (field.id != FieldId::XForwardedFor) {
            continue;
        }
        std::string_view rest = field.value;
        while (!rest.empty()) {
            const auto comma = rest.rfind(',');
            const auto hop = trim(comma == std::string_view::npos ? rest : rest.substr(comma + 1));
            rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(0, comma);
            const auto address = IpAddress::parse(hop);
            if (!address) {
                return client;
            }
            client.address = *address;
            if (!is_trusted(*address)) {
                return client;
            }
        }
    }
    return client;
}

namespace {

/// Whether a client's field goes to the backend as it came.
bool passes_in_request(const Field& field, const ConnectionOptions& options,
                       const RequestEdits& edits) {
    if (is_hop_by_hop(field.id) || is_rewritten_in_requests(field.id)) {
        return false;
    }
    if (field.id == FieldId::Forwarded && !edits.client.peer_trusted) {
        return false;  // RFC 7239 says the same as X-Forwarded-*, so it is believed as little
    }
    const bool settings = field.name.size() == kHttp2Settings.size() &&
                          equals_ignoring_case(field.name, kHttp2Settings);
    return !settings && !poses_as_ours(field.name) && !speaks_of_certificate(field.name, edits) &&
           (!options.names(field.name) || is_protected(field.id));
}

}  // namespace

void write_request_head(const RequestHead& head, const Target& target, const BodyFraming& framing,
                        const RequestEdits& edits, Buffer& out) {
    out.append(head.method_text);
    out.append(' ');
    if (!target.origin_form.starts_with('/') && target.path != "*") {
        // Absolute form without a path, or with a query only. OPTIONS of a whole server becomes the
        // asterisk form again (RFC 9112 §3.2.4).
        const bool whole_server = head.method == Method::Options && target.origin_form.empty();
        out.append(whole_server ? '*' : '/');
    }
    out.append(target.origin_form);
    out.append(" HTTP/1.1\r\n");
    if (!target.host.empty()) {
        append_field(out, "Host", target.host);
    } else {
        out.append("Host:\r\n");  // RFC 9112 §3.2: sent empty where the target has no authority
    }
    const ConnectionOptions options(head.fields);
    for (const Field& field : head.fields) {
        if (passes_in_request(field, options, edits)) {
            append_field(out, field.name, field.value);
        }
    }
    append_forwarded(head, target, edits, out);
    if (!edits.subject.empty()) {
        append_field(out, edits.subject_field, edits.subject);
    }
    append_field(out, "X-Request-Id", edits.request_id);
    append_field(out, "Traceparent", edits.traceparent);
    append_framing(out, framing);
    if (edits.upgrade) {
        append_field(out, "Connection", "upgrade");
        append_field(out, "Upgrade", first_value(head, FieldId::Upgrade));
    }
    out.append("\r\n");
}

namespace {

constexpr std::string_view kHsts = "Strict-Transport-Security";

/// A redirect to the backend's own address would tell the client who it is and lead it around us.
void append_location(std::string_view location, const ResponseEdits& edits, Buffer& out) {
    for (const std::string_view scheme : {"http://", "https://"}) {
        if (!location.starts_with(scheme)) {
            continue;
        }
        const auto rest = location.substr(scheme.size());
        const auto authority = rest.substr(0, rest.find_first_of("/?#"));
        if (edits.hide_identity && !edits.host.empty() &&
            equals_ignoring_case(authority, edits.backend)) {
            out.append("Location: ");
            out.append(edits.tls ? "https://" : "http://");
            out.append(edits.host);
            out.append(rest.substr(authority.size()));
            out.append("\r\n");
            return;
        }
    }
    append_field(out, "Location", location);
}

/// Whether a backend's field goes to the client, as it came or rewritten.
bool passes_in_response(const Field& field, const ConnectionOptions& options,
                        const ResponseEdits& edits) {
    const bool identity = field.id == FieldId::Server || field.id == FieldId::XPoweredBy;
    return !is_hop_by_hop(field.id) && field.id != FieldId::XRproxyReason &&
           !(identity && edits.hide_identity) && !options.names(field.name) &&
           (edits.hsts.empty() || !equals_ignoring_case(field.name, kHsts));
}

}  // namespace

void write_response_head(const ResponseHead& head, const BodyFraming& framing,
                         const ResponseEdits& edits, Buffer& out) {
    out.append("HTTP/1.1 ");
    out.append_number(head.status);
    out.append(' ');
    out.append(head.reason);
    out.append("\r\n");
    const ConnectionOptions options(head.fields);
    for (const Field& field : head.fields) {
        const bool length_without_body = field.id == FieldId::ContentLength &&
                                         framing.kind == BodyFraming::Kind::None &&
                                         head.status >= 200 && head.status != 204;
        // HEAD and 304 say what GET would send.
        if (!length_without_body && !passes_in_response(field, options, edits)) {
            continue;
        }
        if (field.id == FieldId::Location) {
            append_location(field.value, edits, out);
        } else {
            append_field(out, field.name, field.value);
        }
    }
    if (!edits.hsts.empty()) {
        append_field(out, kHsts, edits.hsts);
    }
    if (!edits.set_cookie.empty()) {
        append_field(out, "Set-Cookie", edits.set_cookie);
    }
    if (edits.chunked) {
        out.append("Transfer-Encoding: chunked\r\n");
    } else if (framing.kind == BodyFraming::Kind::Length) {
        append_framing(out, framing);
    }
    if (edits.upgrade) {
        append_field(out, "Connection", "upgrade");
        const Field* upgrade = head.find(FieldId::Upgrade);
        append_field(out, "Upgrade", upgrade == nullptr ? std::string_view{} : upgrade->value);
    } else if (edits.close) {
        out.append("Connection: close\r\n");
    } else if (edits.say_keep_alive) {
        out.append("Connection: keep-alive\r\n");
    }
    out.append("\r\n");
}

}  // namespace rproxy::http
