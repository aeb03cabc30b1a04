#include "support/raw_client.h"

#include "base/strings.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace rproxy::test {

namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

SteadyTime after(std::chrono::milliseconds timeout) {
    return std::chrono::steady_clock::now() + timeout;
}

bool is_chunked(std::string_view head) {
    const auto coding = field(head, "Transfer-Encoding");
    return coding && equals_ignoring_case(*coding, "chunked");
}

int status_of(std::string_view head) {
    const auto space = head.find(' ');
    return space == std::string_view::npos
               ? 0
               : static_cast<int>(
                     std::strtol(std::string(head.substr(space + 1, 3)).c_str(), nullptr, 10));
}

}  // namespace

bool RawClient::read_more(SteadyTime give_up) {
    if (end_) {
        return false;
    }
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(give_up - std::chrono::steady_clock::now());
    const auto got = socket_.receive(received_, std::max(left, std::chrono::milliseconds{0}));
    if (got == Socket::Got::End || got == Socket::Got::Reset) {
        end_ = got;
    }
    return got == Socket::Got::Bytes;
}

/// Bytes of the body on the wire if all of it has come.
std::optional<std::size_t> RawClient::body_size(const Response& response, To request,
                                                ChunkScanner& chunks) const {
    const auto so_far = std::string_view(received_).substr(response.head.size());
    if (request == To::Head || response.status < 200 || response.status == 204 ||
        response.status == 304) {
        return 0;
    }
    if (is_chunked(response.head)) {
        return chunks.scan(so_far);
    }
    if (const auto length = response.header("Content-Length")) {
        const auto size = std::strtoull(length->c_str(), nullptr, 10);
        return so_far.size() >= size ? std::optional<std::size_t>(size) : std::nullopt;
    }
    return end_ == Socket::Got::End ? std::optional(so_far.size()) : std::nullopt;
}

std::optional<RawClient::Response> RawClient::response(To request,
                                                       std::chrono::milliseconds timeout) {
    const auto give_up = after(timeout);
    auto head = head_size(received_);
    while (!head) {
        if (!read_more(give_up)) {
            return std::nullopt;
        }
        head = head_size(received_);
    }
    Response response;
    response.head = received_.substr(0, *head);
    response.status = status_of(response.head);
    ChunkScanner chunks;
    auto body = body_size(response, request, chunks);
    while (!body) {
        const bool more = read_more(give_up);
        body = body_size(response, request, chunks);  // the end may be what completes it
        if (!more && !body) {
            return std::nullopt;
        }
    }
    response.raw = received_.substr(0, *head + *body);
    response.body = is_chunked(response.head) ? chunks.content() : response.raw.substr(*head);
    response.trailers = chunks.trailers();
    received_.erase(0, response.raw.size());
    return response;
}

std::optional<std::string> RawClient::read_until_close(std::chrono::milliseconds timeout) {
    const auto give_up = after(timeout);
    while (read_more(give_up)) {
    }
    return end_ ? std::optional(std::exchange(received_, {})) : std::nullopt;
}

std::string RawClient::read_at_least(std::size_t size, std::chrono::milliseconds timeout) {
    const auto give_up = after(timeout);
    while (received_.size() < size && read_more(give_up)) {
    }
    return std::exchange(received_, {});
}

bool RawClient::closed_by_peer(std::chrono::milliseconds timeout) {
    return received_.empty() && !read_more(after(timeout)) && end_;
}

}  // namespace rproxy::test
