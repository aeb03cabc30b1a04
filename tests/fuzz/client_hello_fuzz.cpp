#include "server/server.h"
#include "support/certificates.h"
#include "support/socket.h"
#include "support/temp_dir.h"

#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

namespace {

using namespace rproxy;  // NOLINT(google-build-using-namespace): one program

/// A whole proxy with a TLS listener, for the life of the program.
class Proxy {
public:
    Proxy() {
        const test::TestAuthority authority;
        const auto pair = authority.issue();
        const auto wild = authority.issue({.names = {"*.example.com"}});
        server::Options options;
        options.config_path = dir_.write(
            "rproxy.yaml",
            "listeners:\n- address: 127.0.0.1:0\n  tls:\n    certificates: [" + entry("a", pair) +
                ", " + entry("b", wild) +
                "]\n    client_ca: " + dir_.write("ca.crt", authority.cert()) +
                "\n    client_auth: optional\nbackends: []\nlog: {level: error, access: false}\n");
        options.admin = Endpoint{"", 0, dir_ / "admin.sock"};
        options.workers = 1;
        options.log_level = config::LogLevel::Error;
        options.handle_signals = false;
        server::block_signals();
        server_ = std::make_unique<server::Server>(options);
        thread_ = std::thread([this] { static_cast<void>(server_->run()); });
        while (server_->listener_port() == 0) {
            std::this_thread::sleep_for(std::chrono::milliseconds{1});
        }
    }
    ~Proxy() {
        server_->stop();
        server_->stop();
        thread_.join();
    }
    Proxy(const Proxy&) = delete;
    Proxy& operator=(const Proxy&) = delete;
    Proxy(Proxy&&) = delete;
    Proxy& operator=(Proxy&&) = delete;

    std::uint16_t port() const { return server_->listener_port(); }

private:
    std::string entry(const std::string& name, const test::CertificatePair& pair) const {
        return "{cert: " + dir_.write(name + ".crt", pair.cert) +
               ", key: " + dir_.write(name + ".key", pair.key) + "}";
    }

    test::TempDir dir_;
    std::unique_ptr<server::Server> server_;
    std::thread thread_;
};

/// libFuzzer's alarm would interrupt a connect.
class WithoutAlarm {
public:
    WithoutAlarm() {
        sigset_t alarm;
        sigemptyset(&alarm);
        sigaddset(&alarm, SIGALRM);
        ::pthread_sigmask(SIG_BLOCK, &alarm, &before_);
    }
    ~WithoutAlarm() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    WithoutAlarm(const WithoutAlarm&) = delete;
    WithoutAlarm& operator=(const WithoutAlarm&) = delete;
    WithoutAlarm(WithoutAlarm&&) = delete;
    WithoutAlarm& operator=(WithoutAlarm&&) = delete;

private:
    sigset_t before_{};
};

}  // namespace

/// Whatever a client says first, the proxy ends the connection by itself once nothing more comes,
/// and goes on serving: the next input connects again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    const WithoutAlarm without_alarm;
    static const Proxy proxy;
    const auto socket = test::Socket::connect_tcp("127.0.0.1", proxy.port());
    socket.send({reinterpret_cast<const char*>(bytes), size});
    socket.shutdown_write();
    constexpr std::chrono::seconds kPatience{4};
    std::string answer;
    auto got = test::Socket::Got::Bytes;
    while (got == test::Socket::Got::Bytes) {
        got = socket.receive(answer, kPatience);
    }
    if (got == test::Socket::Got::Timeout) {
        std::abort();
    }
    return 0;
}
