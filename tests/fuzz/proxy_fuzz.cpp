#include "fuzz/heads.h"
#include "fuzz/proxy_harness.h"
#include "fuzz/strict_http.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rproxy::fuzz {

namespace {

using End = StrictMessage::End;

/// Separates what the client sends from what the backend answers: in no head, and rare in bodies.
constexpr char kSeparator = '\x1e';
/// Pieces and flags stand before them.
constexpr std::size_t kControlBytes = 3;

/// Fields that end at each hop, that the proxy sets itself, or that it takes away.
bool is_end_to_end(const StrictMessage& message, std::string_view name) {
    constexpr std::array<std::string_view, 20> kOurs = {"connection",
                                                        "content-length",
                                                        "forwarded",
                                                        "host",
                                                        "http2-settings",
                                                        "keep-alive",
                                                        "location",
                                                        "proxy-connection",
                                                        "server",
                                                        "te",
                                                        "traceparent",
                                                        "transfer-encoding",
                                                        "upgrade",
                                                        "x-forwarded-for",
                                                        "x-forwarded-host",
                                                        "x-forwarded-port",
                                                        "x-forwarded-proto",
                                                        "x-powered-by",
                                                        "x-request-id",
                                                        "x-rproxy-reason"};
    std::string dashed(name);
    if (name.starts_with("x")) {
        std::ranges::replace(dashed, '_', '-');  // what poses as one of ours to CGI
    }
    return !std::ranges::binary_search(kOurs, dashed) &&
           !message.lists("connection", std::string(name));
}

/// What of a message must be the same on the other side, in its order.
std::vector<std::pair<std::string, std::string>> end_to_end(const StrictMessage& message,
                                                            const StrictMessage& received) {
    std::vector<std::pair<std::string, std::string>> fields;
    for (const auto& field : message.fields) {
        if (is_end_to_end(received, field.first)) {
            fields.push_back(field);
        }
    }
    return fields;
}

/// The origin form of what a client asked (RFC 9112 §3.2), and whom.
struct Asked {
    std::string target;
    std::string host;
};
Asked asked_by(const StrictMessage& request) {
    Asked asked{request.target, request.value("host").value_or("")};
    const auto scheme_end = request.target.find("://");
    if (!request.target.starts_with('/') && scheme_end != std::string::npos) {
        const auto rest = request.target.substr(scheme_end + 3);
        const auto authority_end = std::min(rest.find_first_of("/?"), rest.size());
        asked.host = rest.substr(0, authority_end);
        asked.target = rest.substr(authority_end);
        if (asked.target.empty() && request.method == "OPTIONS") {
            asked.target = "*";
        } else if (!asked.target.starts_with('/')) {
            asked.target.insert(0, "/");
        }
    }
    return asked;
}

std::vector<StrictMessage> requests_in(std::string_view bytes) {
    std::vector<StrictMessage> requests;
    while (!bytes.empty()) {
        requests.push_back(strict_request(bytes));
        if (requests.back().end != End::Whole) {
            break;
        }
        bytes.remove_prefix(requests.back().size);
    }
    return requests;
}

/// Whether what the backend got is what the client sent, or a part of it that cannot be taken for
/// the whole.
bool is_same_request(const StrictMessage& sent, const StrictMessage& got) {
    if (sent.end == End::BadHead || sent.end == End::InHead) {
        return false;
    }
    const Asked asked = asked_by(sent);
    const bool same_head =
        got.method == sent.method && got.minor == 1 && got.target == asked.target &&
        got.value("host") == asked.host && end_to_end(got, sent) == end_to_end(sent, sent) &&
        got.value("transfer-encoding").has_value() == sent.value("transfer-encoding").has_value() &&
        got.value("content-length").has_value() == sent.value("content-length").has_value() &&
        got.lists("connection", "upgrade") == got.value("upgrade").has_value();
    if (got.end == End::Whole) {
        return same_head && sent.end == End::Whole && got.body == sent.body &&
               got.trailers.size() <= sent.trailers.size();
    }
    return same_head && got.end == End::InBody && sent.body.starts_with(got.body);
}

/// Each request that reached the backend is the client's next one, or the last one once more: a
/// connection that the backend had closed. Returns how many there were.
std::size_t require_accepted_only(const std::vector<StrictMessage>& sent,
                                  const std::vector<std::string>& connections) {
    std::size_t next = 0;
    for (const auto& bytes : connections) {
        for (const auto& got : requests_in(bytes)) {
            if (next < sent.size() && is_same_request(sent[next], got)) {
                ++next;
            } else {
                require(next != 0 && is_same_request(sent[next - 1], got));
            }
        }
    }
    return next;
}

/// The first response that is no interim one.
StrictMessage final_response(std::string_view bytes, const std::string& method, bool closed) {
    while (true) {
        auto response = strict_response(bytes, method, closed);
        const bool interim =
            response.end == End::Whole && response.status < 200 && response.status != 101;
        if (!interim) {
            return response;
        }
        bytes.remove_prefix(response.size);
    }
}

/// Every byte that the client got is a response to one of its requests, and only the last may be
/// broken off.
std::vector<StrictMessage> require_sound_responses(const std::vector<StrictMessage>& sent,
                                                   const Transcript& transcript) {
    std::vector<StrictMessage> finals;
    std::string_view rest = transcript.to_client;
    while (!rest.empty()) {
        require(finals.size() < sent.size());  // never one that nobody asked for
        const auto& request = sent[finals.size()];
        const bool head_known = request.end != End::BadHead && request.end != End::InHead;
        auto response =
            strict_response(rest, head_known ? request.method : "", transcript.client_closed);
        require(response.end != End::BadHead && response.end != End::BadBody);
        require(response.minor == 1);
        if (response.end != End::Whole) {
            // The client left at the end of the run, or the proxy closed upon a broken answer.
            finals.push_back(std::move(response));
            return finals;
        }
        rest.remove_prefix(response.size);
        if (response.status < 200) {
            require(request.minor == 1);
            continue;
        }
        finals.push_back(std::move(response));
    }
    return finals;
}

/// What the client was told of the first request is what the backend answered, or an answer of the
/// proxy's own; and what the backend did not end never looks whole.
void require_honest_response(const StrictMessage& request, const Script& script,
                             const std::vector<StrictMessage>& finals) {
    if (finals.empty() || request.end != End::Whole ||
        finals.front().value("x-rproxy-reason").has_value()) {
        return;
    }
    const auto& got = finals.front();
    const auto answered = final_response(script.response, request.method, script.closes);
    if (answered.end == End::BadHead || answered.end == End::InHead) {
        require(got.end != End::Whole);
        return;
    }
    require(got.status == answered.status &&
            end_to_end(got, answered) == end_to_end(answered, answered));
    require(!got.value("server") && !got.value("x-powered-by"));
    if (answered.end == End::Whole) {
        require(got.end != End::Whole || got.body == answered.body);
    } else if (!got.close_delimited) {
        require(got.end != End::Whole);
    }
    require(answered.body.starts_with(got.body));
}

/// After a 101 both sides' bytes go through as they are.
void require_tunnel(const Script& script, const std::vector<StrictMessage>& sent,
                    const Transcript& transcript) {
    const auto request = strict_request(transcript.to_backend.front());
    require(request.end == End::Whole && is_same_request(sent.front(), request));
    const auto raw = std::string_view(transcript.to_backend.front()).substr(request.size);
    require(script.request.substr(sent.front().size).starts_with(raw));
}

void check(const Script& script, const Transcript& transcript) {
    const auto sent = requests_in(script.request);
    const bool tunnel =
        !sent.empty() && sent.front().lists("connection", "upgrade") &&
        !transcript.to_backend.empty() &&
        final_response(script.response, sent.front().method, script.closes).status == 101;
    if (tunnel && transcript.to_client.find("HTTP/1.1 101 ") != std::string::npos) {
        require_tunnel(script, sent, transcript);
        return;
    }
    const auto reached = require_accepted_only(sent, transcript.to_backend);
    const auto finals = require_sound_responses(sent, transcript);
    if (reached != 0) {
        require_honest_response(sent.front(), script, finals);
    }
}

}  // namespace

}  // namespace rproxy::fuzz

/// Whatever a client sends, and whatever a backend answers: what the backend got, read again by
/// another parser, is what the client sent; what is refused reaches nobody; and the client is never
/// told more than the backend said.
///
/// Input: the size of the client's pieces, of the backend's, flags; then what the client sends, a
/// separator, and what the backend answers.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    using namespace rproxy::fuzz;  // NOLINT(google-build-using-namespace): one function
    static ProxyHarness harness;
    if (size < kControlBytes) {
        return 0;
    }
    const auto piece = [](std::uint8_t byte) {
        return byte == 0 ? SIZE_MAX : static_cast<std::size_t>(byte) * 3;
    };
    std::string_view text(reinterpret_cast<const char*>(bytes), size);
    text.remove_prefix(kControlBytes);
    const auto separator = std::min(text.find(kSeparator), text.size());
    const Script script{
        .request = text.substr(0, separator),
        .response = text.substr(std::min(separator + 1, text.size())),
        .request_piece = piece(bytes[0]),
        .response_piece = piece(bytes[1]),
        .eager = (bytes[2] & 1U) != 0,
        .closes = (bytes[2] & 2U) != 0,
    };
    check(script, harness.run(script));
    return 0;
}
