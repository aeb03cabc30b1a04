#include "integration/setup.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <string>
#include <thread>
#include <tuple>

namespace rproxy::test {
namespace {

using namespace std::chrono_literals;

enum class Framing : std::uint8_t { Length, Chunked };

class Bodies : public testing::TestWithParam<std::tuple<Framing, Framing>> {
protected:
    static constexpr std::size_t kBuffer = 16 * 1024;
    static constexpr std::array kSizes{std::size_t{0}, std::size_t{1}, kBuffer - 1,
                                       kBuffer,        kBuffer + 1,    std::size_t{1} << 20U};

    static std::string request(Framing framing, const std::string& body) {
        return framing == Framing::Length
                   ? post("/", body)
                   : "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n" +
                         chunked_text(body);
    }
    static Reply reply(Framing framing, const std::string& body) {
        return framing == Framing::Length ? respond(200, {}, body) : chunked(pieces_of(body));
    }
};

TEST_P(Bodies, PassUnchangedWhateverTheirSize) {
    const auto [request_framing, response_framing] = GetParam();
    FakeBackend backend;
    const auto proxy = ProxyUnderTest::with_yaml(to(backend));
    auto client = proxy.connect();
    for (const std::size_t up : kSizes) {
        const std::size_t down = kSizes.back() - up;
        for (const std::size_t size : {up, down}) {
            backend.enqueue(reply(response_framing, pattern(size)));
            client.send(request(request_framing, pattern(up)));
            const auto response = client.response();
            ASSERT_TRUE(response) << up << " bytes up, " << size << " down";
            EXPECT_TRUE(response->body == pattern(size)) << size << " bytes down";
            const auto received = backend.requests().back();
            EXPECT_TRUE(received.complete);
            EXPECT_TRUE(received.body == pattern(up)) << up << " bytes up";
            EXPECT_EQ(received.header("Transfer-Encoding").has_value(),
                      request_framing == Framing::Chunked);
            EXPECT_EQ(response->header("Transfer-Encoding").has_value(),
                      response_framing == Framing::Chunked);
        }
    }
    EXPECT_EQ(connections_of(backend).size(), 1U) << "a body left its connection out of step";
}

INSTANTIATE_TEST_SUITE_P(Framings, Bodies,
                         testing::Combine(testing::Values(Framing::Length, Framing::Chunked),
                                          testing::Values(Framing::Length, Framing::Chunked)));

/// Answers at once and sends back each byte of a request's body as it comes: both bodies are under
/// way at the same time, and each waits for the other.
class EchoBackend {
public:
    explicit EchoBackend(std::size_t size) : listener_(Socket::listen_tcp(0)) {
        thread_ = std::thread([this, size] {
            for (bool served = false; !served;) {
                const Socket client(::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
                served = !client.is_open() || echo(client, size);
            }
        });
    }
    ~EchoBackend() {
        listener_.shutdown_both();
        thread_.join();
    }
    EchoBackend(const EchoBackend&) = delete;
    EchoBackend& operator=(const EchoBackend&) = delete;
    EchoBackend(EchoBackend&&) = delete;
    EchoBackend& operator=(EchoBackend&&) = delete;
    std::string address() const { return "127.0.0.1:" + std::to_string(listener_.local_port()); }

private:
    /// False for a probe, which sends nothing.
    static bool echo(const Socket& client, std::size_t size) {
        std::string bytes;
        while (!head_size(bytes)) {
            if (client.receive(bytes, 10s) != Socket::Got::Bytes) {
                return false;
            }
        }
        std::size_t left = size;
        bytes.erase(0, *head_size(bytes));
        client.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n");
        while (client.send(bytes)) {
            left -= bytes.size();
            bytes.clear();
            if (left == 0 || client.receive(bytes, 10s) != Socket::Got::Bytes) {
                break;
            }
        }
        return true;
    }

    Socket listener_;
    std::thread thread_;
};

TEST(BodiesBothWays, StreamAtTheSameTimeWithBackPressure) {
    const std::string body = pattern(std::size_t{16} << 20U);
    EchoBackend backend(body.size());
    const auto proxy = ProxyUnderTest::with_yaml(to(backend));
    auto client = proxy.connect();
    // Far more than all sockets on the way hold: this blocks until the answer is read.
    std::thread writer([&] { client.socket().send(post("/", body)); });
    const auto response = client.response(RawClient::To::Get, 30s);
    writer.join();
    ASSERT_TRUE(response) << client.received().size() << " bytes came";
    EXPECT_TRUE(response->body == body);
}

// A sanitizer keeps what was freed, so resident memory says nothing there.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST(BodiesBothWays, HoldLittleForASlowReader) {
    const std::size_t size = std::size_t{96} << 20U;
    FakeBackend backend;
    backend.otherwise(respond(200, {}, std::string(size, 'x')));
    const ProxyProcess proxy(to(backend) + kNoChecks);
    proxy.get("/204");  // everything that is made once is there
    const double before = proxy.metric("process_resident_memory_bytes").value_or(0);
    auto client = proxy.connect();
    client.send(get("/"));
    std::string piece;
    std::size_t received = 0;
    double most = 0;
    while (received < size) {
        piece.clear();
        ASSERT_EQ(client.socket().receive(piece, 10s), Socket::Got::Bytes);
        const auto mib_before = received >> 22U;
        received += piece.size();
        if (received >> 22U != mib_before) {
            most = std::max(most, proxy.metric("process_resident_memory_bytes").value_or(0));
        }
    }
    EXPECT_GT(most, 0);
    EXPECT_LT(most - before, 8e6) << "the proxy holds what its client does not read";
}
#endif

}  // namespace
}  // namespace rproxy::test
