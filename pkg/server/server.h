#pragma once

#include "base/endpoint.h"
#include "config/snapshot.h"

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>

namespace rproxy::server {

struct Options {
    std::string config_path;
    std::optional<Endpoint> admin;  ///< Absent: the file's `admin.address`, else 0.0.0.0:9090.
    std::string admin_token_file;
    std::string state_dir;
    std::size_t workers{0};                       ///< 0: the CPUs that this container may use.
    std::optional<config::LogLevel> log_level;    ///< Wins over the file's.
    std::optional<config::LogFormat> log_format;  ///< Wins over the file's.
    std::string version;
    std::string revision;
    bool handle_signals{true};  ///< SIGTERM, SIGINT and SIGHUP; needs block_signals() before.
};

/// Blocks the signals that run() reads, in this thread and those that it starts from now on, and
/// ignores SIGPIPE: a peer that is gone is an error of the write, not of the process. Call it
/// before the first thread.
void block_signals();

/// The whole proxy: wires control thread, workers and admin port together and runs until drained.
class Server {
public:
    explicit Server(Options options);
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    /// Serves until SIGTERM (or stop()) and drained. Blocks. An error says why it could not start.
    std::expected<void, std::string> run();

    /// As SIGTERM, SIGHUP. Any thread.
    void stop();
    void reload();
    /// Bound ports once run() serves; 0 before. Any thread; for tests and the demo.
    std::uint16_t listener_port() const;
    std::uint16_t admin_port() const;

private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

}  // namespace rproxy::server
