#include "admin/admin_server.h"

#include "admin/api_json.h"
#include "admin/console_assets.h"
#include "base/strings.h"
#include "config/diff.h"
#include "config/load.h"
#include "control/sha256.h"
#include "http/syntax.h"
#include "log/log.h"
#include "metrics/exposition.h"
#include "net/socket.h"

#include <httplib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <mutex>
#include <thread>

namespace rproxy::admin {

namespace {

/// More than a handful of slow clients hold: a probe must find one free.
constexpr std::size_t kThreads = 48;
constexpr std::size_t kLargestBody = 16U << 20U;
/// A loop turns at least once a second when healthy; a machine that is busy may be late.
constexpr std::chrono::seconds kStuckAfter{10};

constexpr const char* kJson = "application/json";
constexpr const char* kText = "text/plain; charset=utf-8";

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

struct AdminServer::Server {
    Server(control::Controller& the_controller, const control::Workers& the_workers,
           const log::AccessLog* access_log, Options the_options)
        : controller(the_controller),
          workers(the_workers),
          options(std::move(the_options)),
          collector(workers, access_log, options.build),
          started(std::chrono::system_clock::now()) {}

    void add_routes();
    void add_probes();
    void add_api();
    void add_changes();
    void add_console();
    bool may_change(const httplib::Request& request, httplib::Response& response) const;
    bool is_local(const httplib::Request& request) const;
    void answer_config(httplib::Response& response);
    void drain(const httplib::Request& request, httplib::Response& response);
    void check_config(const httplib::Request& request, httplib::Response& response);
    void write_config(const httplib::Request& request, httplib::Response& response);
    bool writable() const { return ::access(controller.config_path().c_str(), W_OK) == 0; }
    ProcessFacts process_facts() const;
    static void unavailable(httplib::Response& response) {
        response.status = 503;
        response.set_content(error_json("the control thread does not answer", "see /livez"), kJson);
    }

    control::Controller& controller;
    const control::Workers& workers;
    const Options options;
    MetricsCollector collector;
    std::mutex scrape_mutex;
    std::mutex write_mutex;
    const WallTime started;
    httplib::Server http;
    std::thread thread;
    int bound_port{0};
};

void AdminServer::Server::add_probes() {
    http.Get("/metrics", [this](const httplib::Request&, httplib::Response& response) {
        auto status = controller.ask([](control::Controller& c) { return c.status(); });
        if (!status) {
            unavailable(response);
            return;
        }
        const std::lock_guard lock(scrape_mutex);
        response.set_content(collector.render(std::move(*status)),
                             std::string(metrics::kTextContentType));
    });
    http.Get("/livez", [this](const httplib::Request&, httplib::Response& response) {
        const auto now = std::chrono::steady_clock::now();
        std::string stuck;
        for (const auto& member : workers.members()) {
            if (now - member.worker->loop().turned_at() > kStuckAfter) {
                stuck += "worker " + std::to_string(member.worker->index()) + " does not turn\n";
            }
        }
        if (!controller.ask([](control::Controller&) { return true; })) {
            stuck += "the control thread does not turn\n";
        }
        response.status = stuck.empty() ? 200 : 503;
        response.set_content(stuck.empty() ? "ok\n" : stuck, kText);
    });
    http.Get("/readyz", [this](const httplib::Request&, httplib::Response& response) {
        const auto status =
            controller.ask([](control::Controller& c) { return c.status().not_ready; });
        std::string reasons;
        for (const auto& reason :
             status.value_or(std::vector<std::string>{"control thread busy"})) {
            reasons += reason + "\n";
        }
        response.status = reasons.empty() ? 200 : 503;
        response.set_content(reasons.empty() ? "ready\n" : reasons, kText);
    });
}

ProcessFacts AdminServer::Server::process_facts() const {
    ProcessFacts facts{options.build,  started, std::chrono::system_clock::now(),
                       workers.size(), 0,       0};
    for (const auto& member : workers.members()) {
        const auto& cells = std::as_const(*member.proxy).cells();
        facts.requests_active += cells.exchanges.value();
        facts.requests_total += cells.requests_total.value();
    }
    return facts;
}

void AdminServer::Server::add_api() {
    http.Get("/api/v1/status", [this](const httplib::Request&, httplib::Response& response) {
        const auto status = controller.ask([](control::Controller& c) { return c.status(); });
        if (!status) {
            unavailable(response);
            return;
        }
        response.set_content(status_json(*status, process_facts()), kJson);
    });
    http.Get("/api/v1/backends", [this](const httplib::Request&, httplib::Response& response) {
        const auto status = controller.ask([](control::Controller& c) { return c.status(); });
        if (!status) {
            unavailable(response);
            return;
        }
        response.set_content(backends_json(*status), kJson);
    });
    http.Get("/api/v1/config", [this](const httplib::Request&, httplib::Response& response) {
        answer_config(response);
    });
    http.Get("/api/v1/events",
             [this](const httplib::Request& request, httplib::Response& response) {
                 std::uint64_t since = 0;
                 const std::string text = request.get_param_value("since");
                 std::from_chars(text.data(), text.data() + text.size(), since);
                 const auto events = controller.ask([since](control::Controller& c) {
                     return std::pair{c.events(since), c.last_event_id()};
                 });
                 if (!events) {
                     unavailable(response);
                     return;
                 }
                 response.set_content(events_json(events->first, events->second), kJson);
             });
}

void AdminServer::Server::answer_config(httplib::Response& response) {
    const auto answer =
        controller.ask([](control::Controller& c) { return std::pair{c.status(), c.versions()}; });
    if (!answer) {
        unavailable(response);
        return;
    }
    response.set_content(
        config_json(answer->first, answer->second, controller.config_path(), writable()), kJson);
}

void AdminServer::Server::add_changes() {
    // Ahead of routing, where cpp-httplib refuses a POST without Content-Length, as `curl -X POST`
    // sends it.
    http.set_pre_routing_handler(
        [this](const httplib::Request& request, httplib::Response& response) {
            if (request.method != "POST" || request.path != "/api/v1/drain") {
                return httplib::Server::HandlerResponse::Unhandled;
            }
            drain(request, response);
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
    // A new file renamed over the old one: no reader ever sees half of it.
    const std::string temporary = path + ".new";
    std::ofstream file(temporary, std::ios::binary | std::ios::trunc);
    file << request.body;
    file.close();
    if (!file || !writable() || std::rename(temporary.c_str(), path.c_str()) != 0) {
        std::remove(temporary.c_str());
        response.status = 403;
        response.set_content(
            error_json("the configuration file cannot be written",
                       "change the ConfigMap it is mounted from: kubectl edit configmap"),
            kJson);
        return;
    }
    response.set_content("{\"written\": true}\n", kJson);
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

void AdminServer::Server::add_console() {
    for (const auto& asset : console_assets()) {
        const auto serve = [asset](const httplib::Request& request, httplib::Response& response) {
            response.set_header("ETag", std::string(asset.etag));
            response.set_header("Vary", "Accept-Encoding");
            response.set_header("Cache-Control", "no-cache");
            if (request.get_header_value("If-None-Match") == asset.etag) {
                response.status = 304;
                return;
            }
            const bool gzip =
                request.get_header_value("Accept-Encoding").find("gzip") != std::string::npos &&
                !asset.gzip.empty();
            if (gzip) {
                response.set_header("Content-Encoding", "gzip");
            }
            const auto bytes = gzip ? asset.gzip : asset.bytes;
            // Not set_content(): the library would compress that, gzip or not, once more.
            response.set_content_provider(
                bytes.size(), std::string(asset.content_type),
                [bytes](std::size_t offset, std::size_t length, httplib::DataSink& sink) {
                    return sink.write(bytes.data() + offset, length);
                });
        };
        http.Get(std::string(asset.path), serve);
        if (asset.path == "/index.html") {
            http.Get("/", serve);
        }
    }
}

void AdminServer::Server::add_routes() {
    add_probes();
    add_api();
    add_changes();
    add_console();
    http.set_default_headers(
        {{"X-Content-Type-Options", "nosniff"},
         {"Referrer-Policy", "no-referrer"},
         {"Content-Security-Policy",
          "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
          "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"}});
    http.set_post_routing_handler([](const httplib::Request&, httplib::Response& response) {
        if (!response.has_header("Cache-Control")) {
            response.set_header("Cache-Control", "no-store");
        }
    });
    http.set_error_handler([](const httplib::Request&, httplib::Response& response) {
        if (response.body.empty() && response.status == 404) {
            response.set_content(error_json("there is nothing here", "see docs/api.md"), kJson);
        }
    });
}

AdminServer::AdminServer(control::Controller& controller, const control::Workers& workers,
                         const log::AccessLog* access_log, Options options)
    : server_(std::make_unique<Server>(controller, workers, access_log, std::move(options))) {}

AdminServer::~AdminServer() {
    server_->http.stop();
    if (server_->thread.joinable()) {
        server_->thread.join();
    }
    if (server_->options.address.is_unix()) {
        ::unlink(server_->options.address.path.c_str());
    }
}

int AdminServer::port() const {
    return server_->bound_port;
}

std::expected<void, std::string> AdminServer::start() {
    Server& server = *server_;
    const Endpoint& address = server.options.address;
    server.add_routes();
    server.http.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
    // An idle keep-alive connection would hold a thread; probes must never wait for one.
    server.http.set_keep_alive_max_count(1);
    // A silent connection holds a thread, and the end of the process, for as long as this.
    server.http.set_keep_alive_timeout(1);
    server.http.set_read_timeout(1);
    server.http.set_write_timeout(5);
    server.http.set_payload_max_length(kLargestBody);
    // The default SO_REUSEPORT would let two processes share the port without a word.
    server.http.set_socket_options([](int fd) {
        const int yes = 1;
        ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    });
    bool bound = false;
    if (address.is_unix()) {
        net::remove_stale_socket(net::SocketAddress::unix_path(address.path));
        server.http.set_address_family(AF_UNIX);
        bound = server.http.bind_to_port(address.path, 80);
    } else if (address.port == 0) {
        server.bound_port = server.http.bind_to_any_port(address.host);
        bound = server.bound_port > 0;
    } else {
        bound = server.http.bind_to_port(address.host, address.port);
        server.bound_port = address.port;
    }
    if (!bound) {
        return std::unexpected{"cannot listen on " + address.to_string() +
                               ": the address is not of this host, or the port is taken"};
    }
    server.thread = std::thread([&server] { server.http.listen_after_bind(); });
    log::info("admin port open", "address", address.to_string());
    return {};
}

}  // namespace rproxy::admin
