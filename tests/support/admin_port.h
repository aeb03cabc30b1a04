#pragma once

#include "support/raw_client.h"
#include "support/socket.h"

#include <nlohmann/json_fwd.hpp>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>

namespace rproxy::test {

using Labels = std::map<std::string, std::string>;

/// What a person with curl sees of the admin port: a new connection for each question. Any thread.
class AdminPort {
public:
    /// `connect` opens a connection to it, or throws.
    explicit AdminPort(std::function<Socket()> connect) : connect_(std::move(connect)) {}

    /// These throw if no whole answer comes.
    RawClient::Response get(const std::string& path) const;
    RawClient::Response post(const std::string& path, const std::string& body = {}) const;
    nlohmann::json json(const std::string& path) const;

    /// The sum of the series of this name that have (at least) these labels; nothing if none has.
    std::optional<double> metric(const std::string& name, const Labels& labels = {}) const;
    bool ready() const { return get("/readyz").status == 200; }

private:
    RawClient::Response exchange(const std::string& request) const;

    std::function<Socket()> connect_;
};

}  // namespace rproxy::test
