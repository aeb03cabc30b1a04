#include "support/fake_backend.h"

#include "base/strings.h"
#include "support/wait_until.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>

namespace rproxy::test {

namespace {

using namespace std::chrono_literals;

/// How often a waiting thread looks whether it is to stop.
constexpr auto kTurn = 5ms;

std::string render(const Headers& headers) {
    std::string lines;
    for (const auto& [name, value] : headers) {
        lines += name;
        lines += ": ";
        lines += value;
        lines += "\r\n";
    }
    return lines;
}

bool has(const Headers& headers, std::string_view name) {
    return std::ranges::any_of(
        headers, [name](const auto& header) { return equals_ignoring_case(header.first, name); });
}

std::string render_head(const Reply& reply) {
    const std::string head = "HTTP/1.1 " + std::to_string(reply.status) +
                             (reply.status == 101 ? " Switching Protocols" : " Scripted") + "\r\n" +
                             render(reply.headers);
    const bool no_body = reply.status < 200 || reply.status == 204 || reply.status == 304;
    if (has(reply.headers, "Content-Length") || has(reply.headers, "Transfer-Encoding") ||
        no_body || reply.until_close) {
        return head + "\r\n";
    }
    if (reply.chunks) {
        return head + "Transfer-Encoding: chunked\r\n\r\n";
    }
    return head + "Content-Length: " + std::to_string(reply.body.size()) + "\r\n\r\n";
}

std::string hex(std::size_t number) {
    std::string digits;
    do {
        digits.insert(digits.begin(), "0123456789abcdef"[number % 16]);
        number /= 16;
    } while (number != 0);
    return digits;
}

std::string render_body(const Reply& reply) {
    if (!reply.chunks) {
        return reply.body;
    }
    std::string body;
    for (const auto& chunk : *reply.chunks) {
        body += hex(chunk.size()) + "\r\n" + chunk + "\r\n";
    }
    return body + "0\r\n" + render(reply.trailers) + "\r\n";
}

}  // namespace

Reply respond(int status, Headers headers, std::string body) {
    Reply reply;
    reply.status = status;
    reply.headers = std::move(headers);
    reply.body = std::move(body);
    return reply;
}

Reply chunked(std::vector<std::string> chunks, Headers trailers) {
    Reply reply;
    reply.chunks = std::move(chunks);
    reply.trailers = std::move(trailers);
    return reply;
}

Reply raw(std::string bytes) {
    Reply reply;
    reply.raw = std::move(bytes);
    return reply;
}

Reply stall_before_head() {
    auto reply = respond(200, {}, "late");
    reply.stall_before_head = true;
    return reply;
}

Reply stall_after_head(Reply reply) {
    reply.stall_after_head = true;
    return reply;
}

Reply slow(std::chrono::milliseconds delay, Reply reply) {
    reply.delay = delay;
    return reply;
}

Reply close_after_head(Reply reply) {
    reply.close_after_head = true;
    return reply;
}

Reply reset_after(std::size_t bytes, Reply reply) {
    reply.reset_after = bytes;
    return reply;
}

Reply hang_up() {
    auto reply = raw("");
    reply.close_after = true;
    reply.before_body = true;
    return reply;
}

Reply upgrade(const std::string& protocol) {
    auto reply = respond(101, {{"Connection", "Upgrade"}, {"Upgrade", protocol}});
    reply.echo_after = true;
    return reply;
}

FakeBackend::FakeBackend() {
    otherwise_.body = "ok";
    start_again();
}

FakeBackend::~FakeBackend() {
    stop();
}

void FakeBackend::enqueue(Reply reply) {
    const MutexLock lock(mutex_);
    queue_.push_back(std::move(reply));
}

void FakeBackend::on(const std::string& path, Reply reply) {
    const MutexLock lock(mutex_);
    by_path_[path] = std::move(reply);
}

void FakeBackend::otherwise(Reply reply) {
    const MutexLock lock(mutex_);
    otherwise_ = std::move(reply);
}

std::vector<ReceivedRequest> FakeBackend::requests() const {
    const MutexLock lock(mutex_);
    return requests_;
}

std::size_t FakeBackend::request_count() const {
    const MutexLock lock(mutex_);
    return requests_.size();
}

bool FakeBackend::wait_for_requests(std::size_t count) const {
    return wait_until([&] { return request_count() >= count; });
}

void FakeBackend::start_again() {
    if (acceptor_.joinable()) {
        return;
    }
    listener_ = Socket::listen_tcp(port_);
    port_ = listener_.local_port();
    stopping_.store(false);
    acceptor_ = std::thread([this] { accept_all(); });
}

void FakeBackend::stop() {
    if (!acceptor_.joinable()) {
        return;
    }
    stopping_.store(true);
    acceptor_.join();
    listener_.close();
    for (const auto& connection : connections_) {
        const MutexLock lock(connection->closing);
        connection->socket.shutdown_both();
    }
    for (const auto& connection : connections_) {
        connection->thread.join();
    }
    connections_.clear();
}

void FakeBackend::accept_all() {
    while (!stopping_.load()) {
        pollfd ready{.fd = listener_.fd(), .events = POLLIN, .revents = 0};
        if (::poll(&ready, 1, static_cast<int>(kTurn.count())) <= 0) {
            continue;
        }
        const int fd = ::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0) {
            continue;
        }
        const int on = 1;
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        reap();
        auto& connection = *connections_.emplace_back(std::make_unique<Connection>());
        connection.socket = Socket(fd);
        open_.fetch_add(1);
        const auto number = accepted_.fetch_add(1) + 1;
        connection.thread = std::thread([this, &connection, number] {
            serve(connection, number);
            connection.done.store(true);
        });
    }
}

void FakeBackend::reap() {
    std::erase_if(connections_, [](const auto& connection) {
        if (!connection->done.load()) {
            return false;
        }
        connection->thread.join();
        return true;
    });
}

void FakeBackend::serve(Connection& connection, std::uint64_t number) {
    std::string bytes;
    auto next = Next::KeepAlive;
    while (next == Next::KeepAlive && !stopping_.load()) {
        next = serve_one(connection.socket, bytes, number);
    }
    if (next == Next::Reset) {
        connection.socket.wait_until_sent();
    }
    const MutexLock lock(connection.closing);
    if (next == Next::Reset) {
        connection.socket.reset();
    } else {
        connection.socket.close();
    }
    open_.fetch_sub(1);
}

FakeBackend::Next FakeBackend::serve_one(const Socket& socket, std::string& bytes,
                                         std::uint64_t number) {
    ReceivedRequest request;
    request.connection = number;
    if (!read_head(socket, bytes, request)) {
        if (!request.raw.empty()) {
            record(std::move(request));
        }
        return Next::Close;
    }
    const Reply reply = reply_to(request);
    auto next = Next::KeepAlive;
    bool whole = false;
    if (reply.before_body) {
        next = answer(socket, reply, request);
        whole = next == Next::KeepAlive && read_body(socket, bytes, request);
        record(std::move(request));
    } else {
        if (request.header("Expect")) {
            socket.send("HTTP/1.1 100 Continue\r\n\r\n");
        }
        whole = read_body(socket, bytes, request);
        record(request);
        next = whole ? answer(socket, reply, request) : Next::Close;
    }
    if (!whole || next != Next::KeepAlive) {
        return next == Next::Reset ? next : Next::Close;
    }
    if (reply.echo_after) {
        echo(socket, std::move(bytes));
        return Next::Close;
    }
    return next;
}

/// A head that never becomes whole is recorded as what came of it.
bool FakeBackend::read_head(const Socket& socket, std::string& bytes, ReceivedRequest& request) {
    auto size = head_size(bytes);
    while (!size) {
        const auto got = socket.receive(bytes, 1h);
        if (got != Socket::Got::Bytes) {
            request.raw = bytes;
            return false;
        }
        size = head_size(bytes);
    }
    request.head = bytes.substr(0, *size);
    request.raw = request.head;
    bytes.erase(0, *size);
    const auto words =
        split_any(std::string_view(request.head).substr(0, request.head.find('\r')), " ");
    request.method = words.empty() ? "" : words[0];
    request.target = words.size() < 2 ? "" : words[1];
    return true;
}

bool FakeBackend::read_body(const Socket& socket, std::string& bytes, ReceivedRequest& request) {
    ChunkScanner chunks;
    const bool is_chunked = request.header("Transfer-Encoding").has_value();
    const auto length = request.header("Content-Length");
    const std::size_t fixed = length ? std::strtoull(length->c_str(), nullptr, 10) : 0;
    const auto whole = [&]() -> std::optional<std::size_t> {
        if (is_chunked) {
            return chunks.scan(bytes);
        }
        return bytes.size() >= fixed ? std::optional(fixed) : std::nullopt;
    };
    auto size = whole();
    while (!size && socket.receive(bytes, 1h) == Socket::Got::Bytes) {
        size = whole();
    }
    request.complete = size.has_value();
    const auto taken = size.value_or(bytes.size());
    request.raw += bytes.substr(0, taken);
    request.body = is_chunked ? chunks.content() : bytes.substr(0, taken);
    request.trailers = chunks.trailers();
    bytes.erase(0, taken);
    return request.complete;
}

FakeBackend::Next FakeBackend::answer(const Socket& socket, const Reply& reply,
                                      const ReceivedRequest& request) {
    std::this_thread::sleep_for(reply.delay);
    if (reply.stall_before_head && !stall(socket)) {
        return Next::Close;
    }
    const std::string head = reply.raw ? *reply.raw : render_head(reply);
    const bool with_body = !reply.raw && request.method != "HEAD" && !reply.close_after_head;
    const std::string body = with_body ? render_body(reply) : "";
    if (reply.reset_after) {
        socket.send((reply.interim + head + body).substr(0, *reply.reset_after));
        return Next::Reset;
    }
    if (!socket.send(reply.interim + head) || (reply.stall_after_head && !stall(socket)) ||
        !socket.send(body)) {
        return Next::Close;
    }
    const auto wanted = request.header("Connection");
    const bool close = reply.close_after || reply.close_after_head || reply.until_close ||
                       (wanted && equals_ignoring_case(*wanted, "close"));
    return close ? Next::Close : Next::KeepAlive;
}

/// Until release(); false if the peer left or the backend stops.
bool FakeBackend::stall(const Socket& socket) {
    while (!released_.load() && !stopping_.load()) {
        if (socket.peer_gone(kTurn)) {
            abandoned_.fetch_add(1);
            return false;
        }
    }
    return !stopping_.load();
}

void FakeBackend::echo(const Socket& socket, std::string bytes) {
    while (socket.send(bytes)) {
        bytes.clear();
        if (socket.receive(bytes, 1h) != Socket::Got::Bytes) {
            break;
        }
    }
}

Reply FakeBackend::reply_to(const ReceivedRequest& request) {
    const MutexLock lock(mutex_);
    if (!queue_.empty()) {
        Reply reply = std::move(queue_.front());
        queue_.pop_front();
        return reply;
    }
    const auto found = by_path_.find(request.target.substr(0, request.target.find('?')));
    return found == by_path_.end() ? otherwise_ : found->second;
}

void FakeBackend::record(ReceivedRequest request) {
    const MutexLock lock(mutex_);
    requests_.push_back(std::move(request));
}

}  // namespace rproxy::test
