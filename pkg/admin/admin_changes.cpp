#include "admin/admin_routes.h"
#include "base/ip_address.h"
#include "config/diff.h"
#include "config/load.h"
#include "control/config_writer.h"
#include "http/syntax.h"
#include "log/log.h"

#include <unistd.h>

#include <fstream>
#include <iterator>

namespace rproxy::admin {

namespace {

std::string read_token(const std::string& path) {
    std::ifstream file(path);
    std::string token{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    while (!token.empty() &&
           (token.back() == '\n' || token.back() == '\r' || token.back() == ' ')) {
        token.pop_back();
    }
    return token;
}

/// Takes as long for a wrong guess as for the right one of the same length.
bool equal_secret(std::string_view a, std::string_view b) {
    if (a.size() != b.size()) {
        return false;
    }
    unsigned difference = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]);
    }
    return difference == 0;
}

}  // namespace

void AdminServer::Server::add_changes() {
    // Ahead of routing, where cpp-httplib refuses a POST without Content-Length, as `curl -X POST`
    // sends it.
    http.set_pre_routing_handler(
        [this](const httplib::Request& request, httplib::Response& response) {
            if (request.method == "POST" && request.path == "/api/v1/drain") {
                drain(request, response);
            } else if (request.method == "POST" && request.path == "/api/v1/log") {
                set_log_level(request, response);
            } else {
                return httplib::Server::HandlerResponse::Unhandled;
            }
            return httplib::Server::HandlerResponse::Handled;
        });
    http.Post("/api/v1/config/check",
              [this](const httplib::Request& request, httplib::Response& response) {
                  check_config(request, response);
              });
    http.Post("/api/v1/config",
              [this](const httplib::Request& request, httplib::Response& response) {
                  if (may_change(request, response)) {
                      write_config(request, response);
                  }
              });
}

void AdminServer::Server::drain(const httplib::Request& request, httplib::Response& response) {
    if (!may_change(request, response)) {
        return;
    }
    controller.ask([](control::Controller& c) {
        c.drain(false);
        return true;
    });
    response.status = 202;
    response.set_content("{\"draining\": true}\n", kJson);
}

void AdminServer::Server::set_log_level(const httplib::Request& request,
                                        httplib::Response& response) const {
    if (!may_change(request, response)) {
        return;
    }
    const std::string wanted = request.get_param_value("level");
    const auto level = wanted == "default" ? log::configured_level() : log::parse_level(wanted);
    if (!level) {
        refuse(response, "level: '" + wanted + "' is none of debug, info, warn, error, default");
        return;
    }
    // Said at the more talkative of the two levels, or it would not be seen.
    const auto say = [before = log::level(), after = *level] {
        log::info("log level changed", "from", log::to_string(before), "to", log::to_string(after),
                  "until", "the next configuration");
    };
    const bool before = log::enabled(log::Level::Info);
    if (before) {
        say();
    }
    log::override_level(level);
    if (!before) {
        say();
    }
    answer_log(response);
}

void AdminServer::Server::check_config(const httplib::Request& request,
                                       httplib::Response& response) {
    const auto& path = controller.config_path();
    const auto file = path.substr(path.rfind('/') + 1);
    const auto loaded = config::load(request.body);
    if (!loaded) {
        response.set_content(check_json(false, loaded.error(), {}, file), kJson);
        return;
    }
    const auto running = controller.ask([](control::Controller& c) { return c.snapshot(); });
    const auto changes = running && *running ? config::plan(**running, *loaded)
                                             : std::vector<std::string>{"first configuration"};
    response.set_content(check_json(true, {}, changes, file), kJson);
}

void AdminServer::Server::write_config(const httplib::Request& request,
                                       httplib::Response& response) {
    const std::lock_guard lock(write_mutex);  // from the comparison to the rename
    const auto& path = controller.config_path();
    const auto loaded = config::load(request.body);
    if (!loaded) {
        response.status = 422;
        response.set_content(
            check_json(false, loaded.error(), {}, path.substr(path.rfind('/') + 1)), kJson);
        return;
    }
    if (request.has_header("If-Match")) {
        const auto running =
            controller.ask([](control::Controller& c) { return c.status().sha256; });
        if (!running || request.get_header_value("If-Match") != "\"" + *running + "\"") {
            response.status = 412;
            response.set_content(error_json("another configuration runs by now",
                                            "look at it, then make your change again"),
                                 kJson);
            return;
        }
    }
    if (const auto written = control::replace_config_file(path, request.body); !written) {
        response.status = 403;
        response.set_content(
            error_json("the configuration file cannot be written: " + written.error(),
                       "change the ConfigMap it is mounted from: kubectl edit configmap"),
            kJson);
        return;
    }
    response.set_content("{\"written\": true}\n", kJson);
}

bool AdminServer::Server::writable() const {
    return ::access(controller.config_path().c_str(), W_OK) == 0;
}

bool AdminServer::Server::is_local(const httplib::Request& request) const {
    if (options.address.is_unix()) {
        return true;
    }
    const auto peer = IpAddress::parse(request.remote_addr);
    if (!peer || !peer->is_loopback()) {
        return false;
    }
    // A page of another site can make a browser on this machine send requests here: under a name it
    // controls (DNS rebinding), or across origins.
    const std::string host = request.get_header_value("Host");
    std::string name(http::host_without_port(host));
    if (name.starts_with('[') && name.ends_with(']')) {
        name = name.substr(1, name.size() - 2);
    }
    const bool ours = name == "localhost" || IpAddress::parse(name).has_value();
    const std::string origin = request.get_header_value("Origin");
    return ours && (origin.empty() || origin == "http://" + host);
}

bool AdminServer::Server::may_change(const httplib::Request& request,
                                     httplib::Response& response) const {
    const std::string given = request.get_header_value("Authorization");
    if (!options.token_file.empty() && given.starts_with("Bearer ")) {
        const std::string token = read_token(options.token_file);
        if (!token.empty() && equal_secret(given.substr(7), token)) {
            return true;
        }
    }
    if (is_local(request)) {
        return true;
    }
    response.status = 403;
    response.set_content(
        error_json("changes are taken from loopback or with a token only",
                   "send 'Authorization: Bearer TOKEN' with the content of --admin-token-file"),
        kJson);
    return false;
}

}  // namespace rproxy::admin
