#include "cmd/rproxy/arguments.h"
#include "cmd/rproxy/commands.h"
#include "server/server.h"

#include <httplib.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace rproxy::cmd {

namespace {

/// A backend for a first look: says who it is and how often it was asked.
class ToyBackend {
public:
    explicit ToyBackend(std::string name) : name_(std::move(name)) {
        server_.Get("/.*", [this](const httplib::Request& request, httplib::Response& response) {
            const auto count = request.path == "/healthz" ? requests_.load() : ++requests_;
            response.set_content("hello from backend " + name_ + ", request " +
                                     std::to_string(count) + ", path " + request.path + "\n",
                                 "text/plain; charset=utf-8");
        });
        server_.set_keep_alive_max_count(1'000'000);
        server_.set_keep_alive_timeout(300);
        port_ = server_.bind_to_any_port("127.0.0.1");
        thread_ = std::thread([this] { server_.listen_after_bind(); });
    }
    ~ToyBackend() {
        server_.stop();
        thread_.join();
    }
    ToyBackend(const ToyBackend&) = delete;
    ToyBackend& operator=(const ToyBackend&) = delete;
    int port() const { return port_; }

private:
    const std::string name_;
    httplib::Server server_;
    std::atomic<std::uint64_t> requests_{0};
    int port_{0};
    std::thread thread_;
};

/// A directory of its own that goes with the demo.
class DemoFiles {
public:
    DemoFiles() {
        std::string pattern =
            (std::filesystem::temp_directory_path() / "rproxy-demo-XXXXXX").string();
        directory_ = ::mkdtemp(pattern.data()) == nullptr ? "" : pattern;
    }
    ~DemoFiles() {
        std::error_code ignored;
        std::filesystem::remove_all(directory_, ignored);
    }
    DemoFiles(const DemoFiles&) = delete;
    DemoFiles& operator=(const DemoFiles&) = delete;
    bool usable() const { return !directory_.empty(); }
    std::string config() const { return directory_ + "/rproxy.yaml"; }

private:
    std::string directory_;
};

std::optional<std::uint16_t> parse_port(const std::string& text) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc{} || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return port;
}

void print_welcome(std::uint16_t port, std::uint16_t admin_port, const std::string& config) {
    std::printf(
        "\nrproxy demo: three backends and a proxy in one process.\n\n"
        "  site      http://127.0.0.1:%u/\n"
        "  metrics   http://127.0.0.1:%u/metrics\n"
        "  console   http://127.0.0.1:%u/\n"
        "  config    %s   (edit it and watch)\n\n"
        "Try:\n"
        "  curl -i http://127.0.0.1:%u/\n"
        "  curl -s http://127.0.0.1:%u/metrics | grep rproxy_backend_requests_total\n\n"
        "Ctrl-C ends it.\n\n",
        port, admin_port, admin_port, config.c_str(), port, admin_port);
    std::fflush(stdout);
}

void write_config(const std::string& path, std::uint16_t port,
                  const std::vector<std::string>& backends) {
    std::ofstream file(path);
    file << "# The demo's configuration: change it, save it, and traffic follows.\n"
         << "listeners:\n  - {address: \"0.0.0.0:" << port << "\"}\n"
         << "method: round_robin\nbackends:\n";
    for (const auto& backend : backends) {
        file << "  - " << backend << "\n";
    }
    file << "health_check: {path: /healthz, interval: 1s, timeout: 500ms}\n"
         << "drain: {accept_grace: 0s, timeout: 5s}\n"
         << "log: {format: text, access: false, level: warn}\n";
}

}  // namespace

int demo(Words words) {
    const std::vector<std::string> flags{"--port", "--admin-port"};
    const auto arguments = Arguments::parse(words, flags, 0);
    if (!arguments) {
        return usage_error("demo", arguments.error());
    }
    const auto port = parse_port(arguments->given("--port").value_or("8080"));
    const auto admin_port = parse_port(arguments->given("--admin-port").value_or("9090"));
    if (!port || !admin_port) {
        return usage_error("demo", "--port and --admin-port are numbers from 0 to 65535");
    }
    server::block_signals();

    std::vector<std::unique_ptr<ToyBackend>> backends;
    std::vector<std::string> addresses;
    for (const auto* const name : {"alpha", "beta", "gamma"}) {
        backends.push_back(std::make_unique<ToyBackend>(name));
        addresses.push_back("{name: " + std::string(name) + ", address: \"127.0.0.1:" +
                            std::to_string(backends.back()->port()) + "\"}");
    }
    const DemoFiles files;
    if (!files.usable()) {
        std::fprintf(stderr, "rproxy demo: cannot make a directory for the configuration in %s\n",
                     std::filesystem::temp_directory_path().c_str());
        return kNo;
    }
    write_config(files.config(), *port, addresses);

    server::Options options;
    options.config_path = files.config();
    options.admin = Endpoint{"127.0.0.1", *admin_port, {}};
    options.log_level = config::LogLevel::Warn;
    options.log_format = config::LogFormat::Text;
    options.version = RPROXY_VERSION;
    options.revision = RPROXY_REVISION;
    server::Server server(std::move(options));
    std::jthread announcer([&](const std::stop_token& stop) {
        constexpr int kTries = 250;
        for (int i = 0; i < kTries && !stop.stop_requested() && server.listener_port() == 0; ++i) {
            std::this_thread::sleep_for(std::chrono::milliseconds{20});
        }
        if (server.listener_port() == 0) {
            server.stop();
        } else if (!stop.stop_requested()) {
            print_welcome(server.listener_port(), server.admin_port(), files.config());
        }
    });
    const auto served = server.run();
    announcer.request_stop();
    if (served && server.listener_port() == 0) {
        std::fprintf(stderr, "rproxy demo: port %u is taken, choose another by --port\n", *port);
        return kNo;
    }
    if (!served) {
        std::fprintf(stderr, "rproxy demo: %s\n", served.error().c_str());
        return kNo;
    }
    return kYes;
}

}  // namespace rproxy::cmd
