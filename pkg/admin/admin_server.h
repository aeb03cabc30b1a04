#pragma once

#include "admin/metrics_collector.h"
#include "base/endpoint.h"
#include "control/controller.h"
#include "control/workers.h"

#include <memory>
#include <string>

namespace rproxy::admin {

/// The admin port: probes, metrics, API and console (docs/api.md), on threads of its own. Reads
/// what the workers count and asks the control thread for the rest, so that a slow reader here
/// slows nobody else.
class AdminServer {
public:
    struct Options {
        Endpoint address;
        std::string token_file;  ///< Empty: only loopback may change anything.
        BuildInfo build;
    };
    AdminServer(control::Controller& controller, const control::Workers& workers,
                const log::AccessLog* access_log, Options options);
    /// Stops answering.
    ~AdminServer();
    AdminServer(const AdminServer&) = delete;
    AdminServer& operator=(const AdminServer&) = delete;

    /// Binds and begins to answer; an error says why it could not. Call once.
    std::expected<void, std::string> start();
    /// The port bound, where the address says 0.
    int port() const;

private:
    struct Server;
    std::unique_ptr<Server> server_;
};

}  // namespace rproxy::admin
