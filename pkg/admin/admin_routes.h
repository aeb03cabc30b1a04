#pragma once

#include "admin/admin_server.h"
#include "admin/api_json.h"
#include "admin/metrics_collector.h"

#include <httplib.h>

#include <mutex>
#include <string>
#include <thread>

namespace rproxy::admin {

inline constexpr const char* kJson = "application/json";
inline constexpr const char* kText = "text/plain; charset=utf-8";

/// The inside of AdminServer, over a few files: what is asked (admin_queries.cpp), what changes
/// something (admin_changes.cpp) and the console (admin_console.cpp). Its handlers run on the admin
/// port's own threads, several at once.
struct AdminServer::Server {
    Server(control::Controller& the_controller, const control::Workers& the_workers,
           const log::AccessLog* access_log, Options the_options)
        : controller(the_controller),
          workers(the_workers),
          options(std::move(the_options)),
          collector(workers, access_log, options.build),
          started(std::chrono::system_clock::now()) {}

    void add_routes();
    /// A GET whose answer goes out compressed to who takes that.
    void get(const char* path, httplib::Server::Handler handler);
    void add_probes();
    void add_api();
    void add_changes();
    void add_console();
    bool may_change(const httplib::Request& request, httplib::Response& response) const;
    bool is_local(const httplib::Request& request) const;
    void answer_config(httplib::Response& response);
    void answer_requests(const httplib::Request& request, httplib::Response& response);
    void answer_explain(const httplib::Request& request, httplib::Response& response);
    void answer_log(httplib::Response& response) const;
    void drain(const httplib::Request& request, httplib::Response& response);
    void set_log_level(const httplib::Request& request, httplib::Response& response) const;
    void check_config(const httplib::Request& request, httplib::Response& response);
    void write_config(const httplib::Request& request, httplib::Response& response);
    bool writable() const;
    ProcessFacts process_facts() const;
    static void unavailable(httplib::Response& response);
    /// `problem` says what is wrong and what would be right.
    static void refuse(httplib::Response& response, const std::string& problem);

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

}  // namespace rproxy::admin
