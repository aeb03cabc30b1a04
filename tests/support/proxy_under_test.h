#pragma once

#include "server/server.h"
#include "support/admin_port.h"
#include "support/config_map_dir.h"
#include "support/raw_client.h"
#include "support/temp_dir.h"

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace rproxy::test {

struct ProxyOptions {
    std::size_t workers{2};
    bool config_map{false};  ///< The file is in a ConfigMapDir; else it is a plain one.
    bool file_missing{false};
    bool await_ready{true};   ///< Otherwise only until the admin port answers.
    std::string state_dir{};  ///< Empty: none.
};

/// A whole proxy with its configuration file, wherever it runs. Where a text names none, listeners
/// are one (`http`) on a free port of 127.0.0.1, and no access log is written. Failing to do what a
/// test takes for granted throws. One thread.
class RunningProxy {
public:
    virtual ~RunningProxy() = default;
    RunningProxy(const RunningProxy&) = delete;
    RunningProxy& operator=(const RunningProxy&) = delete;
    RunningProxy(RunningProxy&&) = delete;
    RunningProxy& operator=(RunningProxy&&) = delete;

    /// What the listener of this name is bound to.
    std::uint16_t port(const std::string& listener = "http") const;
    RawClient connect() const { return RawClient(port()); }
    /// `GET` over a connection of its own.
    RawClient::Response get(const std::string& path = "/") const;

    const AdminPort& admin() const { return admin_; }
    std::optional<double> metric(const std::string& name, const Labels& labels = {}) const {
        return admin_.metric(name, labels);
    }
    /// The state of the backend with this address, as /api/v1/backends tells; empty: not there.
    std::string backend_state(const std::string& address) const;
    /// False if it does not get there in time.
    bool wait_for_state(const std::string& address, const std::string& state) const;

    /// Changes the file and waits until the new generation is published and every worker is on it.
    void reload(const std::string& text);
    /// Changes the file and waits until it is rejected.
    void reload_rejected(const std::string& text);
    /// Changes the file, no more: a swap of `..data`, or an edit in place.
    void write(const std::string& text);
    const std::string& config_path() const { return config_path_; }
    static std::string complete(const std::string& text);

protected:
    RunningProxy(const std::string& text, const ProxyOptions& options, AdminPort admin);
    const TempDir& dir() const { return dir_; }
    const ProxyOptions& options() const { return options_; }
    void await_start() const;
    /// Says why the proxy is no longer there, if it is not.
    virtual std::optional<std::string> ended() const = 0;

private:
    ProxyOptions options_;
    TempDir dir_;
    std::optional<ConfigMapDir> config_map_;
    std::string config_path_;
    AdminPort admin_;
};

/// server::Server on a thread of this process.
class ProxyUnderTest final : public RunningProxy {
public:
    static ProxyUnderTest with_yaml(const std::string& text, const ProxyOptions& options = {}) {
        return ProxyUnderTest(text, options);
    }
    /// Ends it at once.
    ~ProxyUnderTest() override;
    ProxyUnderTest(const ProxyUnderTest&) = delete;
    ProxyUnderTest& operator=(const ProxyUnderTest&) = delete;
    ProxyUnderTest(ProxyUnderTest&&) = delete;
    ProxyUnderTest& operator=(ProxyUnderTest&&) = delete;

    std::uint16_t admin_port() const { return server_->admin_port(); }
    /// As SIGTERM; a second call ends it at once. Returns at once.
    void stop() { server_->stop(); }
    /// As SIGHUP. Returns at once.
    void reload_now() { server_->reload(); }
    /// False if it has not ended within the time.
    bool wait_until_ended(std::chrono::milliseconds timeout = RawClient::kPatience) const;

private:
    ProxyUnderTest(const std::string& text, const ProxyOptions& options);
    std::optional<std::string> ended() const override;

    std::unique_ptr<server::Server> server_;
    struct End;
    std::shared_ptr<End> end_;
    std::thread thread_;
};

/// The built program as a child process, its admin port on a unix socket.
class ProxyProcess final : public RunningProxy {
public:
    explicit ProxyProcess(const std::string& text, const ProxyOptions& options = {});
    /// Kills it.
    ~ProxyProcess() override;
    ProxyProcess(const ProxyProcess&) = delete;
    ProxyProcess& operator=(const ProxyProcess&) = delete;
    ProxyProcess(ProxyProcess&&) = delete;
    ProxyProcess& operator=(ProxyProcess&&) = delete;

    void signal(int number) const;
    /// Its exit status (128 + number if a signal ended it); nothing if it has not ended in time.
    std::optional<int> wait_for_exit(std::chrono::milliseconds timeout = RawClient::kPatience);
    /// What it wrote to stdout and stderr so far.
    std::string output() const { return read_file(dir() / "output"); }

private:
    std::optional<std::string> ended() const override;

    pid_t pid_{-1};
    mutable std::optional<int> status_;
};

}  // namespace rproxy::test
