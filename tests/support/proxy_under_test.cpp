#include "support/proxy_under_test.h"

#include "support/wait_until.h"

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <stdexcept>
#include <utility>

namespace rproxy::test {

namespace {

constexpr auto kFile = "rproxy.yaml";

bool has_key(const std::string& text, const std::string& key) {
    return text.starts_with(key + ":") || text.find("\n" + key + ":") != std::string::npos;
}

}  // namespace

RunningProxy::RunningProxy(const std::string& text, const ProxyOptions& options, AdminPort admin)
    : options_(options), admin_(std::move(admin)) {
    if (options.config_map) {
        const ConfigMapDir::Files files = options.file_missing
                                              ? ConfigMapDir::Files{}
                                              : ConfigMapDir::Files{{kFile, complete(text)}};
        config_map_.emplace(dir_ / "config", files);
        config_path_ = config_map_->file(kFile);
    } else {
        config_path_ = dir_ / kFile;
        if (!options.file_missing) {
            dir_.write(kFile, complete(text));
        }
    }
}

std::string RunningProxy::complete(const std::string& text) {
    std::string all;
    if (!has_key(text, "listeners")) {
        all += "listeners: [{name: http, address: \"127.0.0.1:0\"}]\n";
    }
    if (!has_key(text, "log")) {
        all += "log: {access: false}\n";
    }
    return all + text;
}

void RunningProxy::await_start() const {
    const bool started = wait_until([this] {
        if (const auto why = ended()) {
            throw std::runtime_error("the proxy did not start: " + *why);
        }
        try {
            return options_.await_ready ? admin_.ready() : admin_.get("/livez").status == 200;
        } catch (const std::runtime_error&) {
            return false;  // the admin port is not there yet
        }
    });
    if (!started) {
        throw std::runtime_error("the proxy is not ready: " + admin_.get("/readyz").body +
                                 admin_.get("/api/v1/config").body);
    }
}

std::uint16_t RunningProxy::port(const std::string& listener) const {
    const auto status = admin_.json("/api/v1/status");
    for (const auto& row : status.at("listeners")) {
        if (row.at("name") == listener) {
            const auto address = row.at("address").get<std::string>();
            return static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
        }
    }
    throw std::runtime_error("no listener " + listener);
}

RawClient::Response RunningProxy::get(const std::string& path) const {
    auto client = connect();
    auto response = client.exchange("GET " + path + " HTTP/1.1\r\nHost: test\r\n\r\n");
    if (!response) {
        throw std::runtime_error("no whole answer for " + path + ", but: " + client.received());
    }
    return std::move(*response);
}

std::string RunningProxy::backend_state(const std::string& address) const {
    const auto backends = admin_.json("/api/v1/backends");
    for (const auto& pool : backends.at("pools")) {
        for (const auto& backend : pool.at("backends")) {
            if (backend.at("address") == address) {
                return backend.at("state").get<std::string>();
            }
        }
    }
    return {};
}

bool RunningProxy::wait_for_state(const std::string& address, const std::string& state) const {
    return wait_until([&] { return backend_state(address) == state; });
}

void RunningProxy::write(const std::string& text) {
    if (config_map_) {
        config_map_->swap({{kFile, complete(text)}});
    } else {
        write_file(config_path_, complete(text));
    }
}

void RunningProxy::reload(const std::string& text) {
    const auto generation = metric("rproxy_config_generation").value_or(0);
    write(text);
    const bool published = wait_until([&] {
        return metric("rproxy_config_generation") == generation + 1 &&
               admin_.get("/readyz").body.find("workers") == std::string::npos;
    });
    if (!published) {
        throw std::runtime_error("not applied: " + admin_.get("/api/v1/config").body);
    }
}

void RunningProxy::reload_rejected(const std::string& text) {
    const auto rejections = [this] {
        return metric("rproxy_config_reloads_total", {{"result", "rejected"}}).value_or(0);
    };
    const auto before = rejections();
    write(text);
    if (!wait_until([&] { return rejections() == before + 1; })) {
        throw std::runtime_error("not rejected: " + admin_.get("/api/v1/config").body);
    }
}

struct ProxyUnderTest::End {
    std::atomic<bool> ended{false};
    std::string error;  // written before `ended`
};

ProxyUnderTest::ProxyUnderTest(const std::string& text, const ProxyOptions& options)
    : RunningProxy(text, options, AdminPort([this] {
                       return Socket::connect_tcp("127.0.0.1", server_->admin_port());
                   })),
      end_(std::make_shared<End>()) {
    server::Options server_options;
    server_options.config_path = config_path();
    server_options.admin = Endpoint{"127.0.0.1", 0, {}};
    server_options.state_dir = options.state_dir;
    server_options.workers = options.workers;
    server_options.log_level = config::LogLevel::Error;
    server_options.version = "test";
    server_options.revision = "test";
    server_options.handle_signals = false;
    server_ = std::make_unique<server::Server>(std::move(server_options));
    thread_ = std::thread([server = server_.get(), end = end_] {
        if (const auto result = server->run(); !result) {
            end->error = result.error();
        }
        end->ended.store(true);
    });
    try {
        await_start();
    } catch (...) {
        stop();
        stop();
        thread_.join();
        throw;
    }
}

ProxyUnderTest::~ProxyUnderTest() {
    stop();
    stop();
    thread_.join();
}

std::optional<std::string> ProxyUnderTest::ended() const {
    return end_->ended.load() ? std::optional(end_->error) : std::nullopt;
}

bool ProxyUnderTest::wait_until_ended(std::chrono::milliseconds timeout) const {
    return wait_until([this] { return end_->ended.load(); }, timeout);
}

ProxyProcess::ProxyProcess(const std::string& text, const ProxyOptions& options)
    : RunningProxy(text, options,
                   AdminPort([this] { return Socket::connect_unix(dir() / "admin.sock"); })) {
    std::vector<std::string> words{RPROXY_BINARY, "serve",
                                   "--config",    config_path(),
                                   "--admin",     "unix:" + (dir() / "admin.sock"),
                                   "--workers",   std::to_string(options.workers),
                                   "--log-level", "error"};
    if (!options.state_dir.empty()) {
        words.insert(words.end(), {"--state-dir", options.state_dir});
    }
    std::vector<char*> arguments;
    for (auto& word : words) {
        arguments.push_back(word.data());
    }
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    const std::string output = dir() / "output";
    ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output.c_str(),
                                       O_CREAT | O_WRONLY | O_APPEND, 0600);
    ::posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
    const int error =
        ::posix_spawn(&pid_, RPROXY_BINARY, &actions, nullptr, arguments.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    if (error != 0) {
        throw std::runtime_error("cannot start " RPROXY_BINARY);
    }
    try {
        await_start();
    } catch (...) {
        signal(SIGKILL);
        wait_for_exit();
        throw;
    }
}

ProxyProcess::~ProxyProcess() {
    signal(SIGKILL);
    wait_for_exit();
}

void ProxyProcess::signal(int number) const {
    if (!ended()) {
        ::kill(pid_, number);
    }
}

std::optional<std::string> ProxyProcess::ended() const {
    int status = 0;
    if (!status_ && ::waitpid(pid_, &status, WNOHANG) == pid_) {
        status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    return status_ ? std::optional("it ended with " + std::to_string(*status_) + ": " + output())
                   : std::nullopt;
}

std::optional<int> ProxyProcess::wait_for_exit(std::chrono::milliseconds timeout) {
    wait_until([this] { return ended().has_value(); }, timeout);
    return status_;
}

}  // namespace rproxy::test
