#include "admin/admin_server.h"

#include "admin/admin_routes.h"
#include "admin/content_encoding.h"
#include "log/log.h"
#include "net/socket.h"

#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <utility>

namespace rproxy::admin {

namespace {

/// More than a handful of slow clients hold: a probe must find one free.
constexpr std::size_t kThreads = 48;
constexpr std::size_t kLargestBody = 16U << 20U;
/// Below, the head of the answer is most of it.
constexpr std::size_t kWorthCompressing = 1024;

void compress(const httplib::Request& request, httplib::Response& response) {
    response.set_header("Vary", "Accept-Encoding");
    const bool packed = response.body.size() >= kWorthCompressing &&
                        accepts_gzip(request.get_header_value("Accept-Encoding"));
    auto body =
        std::make_shared<std::string>(packed ? gzip(response.body) : std::move(response.body));
    response.body.clear();
    if (packed) {
        response.set_header("Content-Encoding", "gzip");
    }
    const std::string type = response.get_header_value("Content-Type");
    response.headers.erase("Content-Type");
    // Not as content, which the library would compress by itself: slowly, or as Brotli, for whoever
    // has the word in Accept-Encoding, be it with q=0.
    response.set_content_provider(
        body->size(), type,
        [body](std::size_t offset, std::size_t length, httplib::DataSink& sink) {
            return sink.write(body->data() + offset, length);
        });
}

}  // namespace

void AdminServer::Server::get(const char* path, httplib::Server::Handler handler) {
    http.Get(path, [handler = std::move(handler)](const httplib::Request& request,
                                                  httplib::Response& response) {
        handler(request, response);
        compress(request, response);
    });
}

void AdminServer::Server::unavailable(httplib::Response& response) {
    response.status = 503;
    response.set_content(error_json("the control thread does not answer", "see /livez"), kJson);
}

void AdminServer::Server::refuse(httplib::Response& response, const std::string& problem) {
    response.status = 400;
    response.set_content(error_json(problem, "see docs/api.md"), kJson);
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
