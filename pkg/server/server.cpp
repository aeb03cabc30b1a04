#include "server/server.h"

#include "admin/admin_server.h"
#include "config/load.h"
#include "control/controller.h"
#include "control/file_reader.h"
#include "control/workers.h"
#include "log/access_log.h"
#include "log/log.h"
#include "net/event_loop.h"
#include "net/fd.h"
#include "proxy/proxy.h"
#include "runtime/worker.h"

#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <random>

namespace rproxy::server {

namespace {

log::Level to_level(config::LogLevel level) {
    return static_cast<log::Level>(level);
}
log::Format to_format(config::LogFormat format) {
    return format == config::LogFormat::Json ? log::Format::Json : log::Format::Text;
}

std::uint64_t random_seed() {
    std::random_device device;
    return (std::uint64_t{device()} << 32U) | device();
}

/// The admin port must answer before and without a valid configuration, so its address is read
/// ahead.
Endpoint admin_address(const Options& options) {
    if (options.admin) {
        return *options.admin;
    }
    if (const auto file = control::read_file(options.config_path, mib(16))) {
        if (const auto address = config::salvage(file->text).admin_address) {
            return *address;
        }
    }
    return Endpoint{"0.0.0.0", 9090, {}};
}

sigset_t handled_signals() {
    sigset_t mask;
    sigemptyset(&mask);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
        sigaddset(&mask, signal);
    }
    return mask;
}

}  // namespace

void block_signals() {
    const sigset_t mask = handled_signals();
    ::pthread_sigmask(SIG_BLOCK, &mask, nullptr);
    std::signal(SIGPIPE, SIG_IGN);  // NOLINT(cert-err33-c)
}

struct Server::Parts final : net::EventHandler {
    explicit Parts(Options the_options) : options(std::move(the_options)) {}

    void on_event(std::uint32_t events) override;
    void start_workers(std::uint64_t seed);
    void on_settings(const config::Snapshot& snapshot) const;
    bool watch_signals();

    Options options;
    net::EventLoop loop;  // of the control thread, which is the one that calls run()
    net::Fd signals;
    std::unique_ptr<log::AccessLog> access_log;
    control::Workers workers;
    std::unique_ptr<control::Controller> controller;
    std::unique_ptr<admin::AdminServer> admin;
    std::atomic<std::uint16_t> listener_port{0};
    std::atomic<std::uint16_t> admin_port{0};
};

Server::Server(Options options) : parts_(std::make_unique<Parts>(std::move(options))) {}
Server::~Server() = default;

void Server::Parts::on_event(std::uint32_t /*events*/) {
    signalfd_siginfo info{};
    while (::read(signals.get(), &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGHUP) {
            controller->reload();
        } else {
            log::info("signal received", "signal", info.ssi_signo);
            controller->drain(true);
        }
    }
}

bool Server::Parts::watch_signals() {
    const sigset_t mask = handled_signals();
    signals = net::Fd(::signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC));
    return signals && loop.add(signals.get(), EPOLLIN, *this);
}

void Server::Parts::start_workers(std::uint64_t seed) {
    const std::size_t count = options.workers != 0 ? options.workers : runtime::available_cpus();
    access_log = std::make_unique<log::AccessLog>(
        log::AccessLog::Options{.fd = STDOUT_FILENO, .workers = count});
    controller = nullptr;
    for (std::size_t i = 0; i < count; ++i) {
        workers.members().push_back({std::make_unique<runtime::Worker>(i), nullptr});
    }
    control::Controller::Options control_options;
    control_options.config_path = options.config_path;
    control_options.state_dir = options.state_dir;
    control_options.seed = seed;
    control_options.on_settings = [this](const auto& snapshot) { on_settings(snapshot); };
    control_options.on_done = [this] { loop.stop(); };
    controller = std::make_unique<control::Controller>(loop, workers, std::move(control_options));
    for (auto& member : workers.members()) {
        const std::size_t index = member.worker->index();
        proxy::Proxy::Options proxy_options;
        proxy_options.worker = index;
        proxy_options.seed = seed + 17 * (index + 1);
        proxy_options.observer = controller.get();
        proxy_options.access_log = &access_log->buffer(index);
        proxy_options.flight_records = proxy::FlightRecorder::share_of(count);
        proxy_options.wake_others = [this, index](const std::string& pool) {
            for (auto& other : workers.members()) {
                if (other.worker->index() != index) {
                    other.worker->loop().post(
                        [&proxy = *other.proxy, pool] { proxy.wake_waiting(pool); });
                }
            }
        };
        member.proxy = std::make_unique<proxy::Proxy>(member.worker->loop(), proxy_options);
    }
    for (auto& member : workers.members()) {
        member.worker->start();
    }
}

void Server::Parts::on_settings(const config::Snapshot& snapshot) const {
    const auto level = options.log_level.value_or(snapshot.log.level);
    const auto format = options.log_format.value_or(snapshot.log.format);
    log::configure(to_level(level), to_format(format));
    access_log->set_format(to_format(format));
}

std::expected<void, std::string> Server::run() {
    Parts& parts = *parts_;
    log::configure(to_level(parts.options.log_level.value_or(config::LogLevel::Info)),
                   to_format(parts.options.log_format.value_or(config::LogFormat::Json)));
    if (parts.options.handle_signals && !parts.watch_signals()) {
        return std::unexpected{std::string("cannot watch signals")};
    }
    const Endpoint admin_endpoint = admin_address(parts.options);
    parts.start_workers(random_seed());
    log::info("rproxy starts", "version", parts.options.version, "revision", parts.options.revision,
              "workers", parts.workers.size(), "config", parts.options.config_path);
    parts.admin = std::make_unique<admin::AdminServer>(
        *parts.controller, parts.workers, parts.access_log.get(),
        admin::AdminServer::Options{admin_endpoint,
                                    parts.options.admin_token_file,
                                    {parts.options.version, parts.options.revision, __VERSION__}});
    const auto admin_started = parts.admin->start();
    if (admin_started) {
        parts.admin_port = static_cast<std::uint16_t>(parts.admin->port());
        parts.loop.post([&parts] {
            parts.controller->start();
            const auto plan = parts.controller->status().plan;
            if (plan && !plan->listeners.empty()) {
                parts.listener_port = plan->listeners.front().port;
            }
        });
        parts.loop.run();
    }
    // Readers before what they read: admin, then workers, then what the workers report to.
    parts.admin.reset();
    parts.workers.post_to_all([](proxy::Proxy& proxy) { proxy.close_all(); });
    for (auto& member : parts.workers.members()) {
        member.worker->stop();
    }
    parts.controller.reset();
    parts.workers.members().clear();
    parts.access_log.reset();
    if (!admin_started) {
        return std::unexpected{admin_started.error()};
    }
    log::info("rproxy ends");
    return {};
}

void Server::stop() {
    parts_->loop.post([parts = parts_.get()] { parts->controller->drain(true); });
}

void Server::reload() {
    parts_->loop.post([parts = parts_.get()] { parts->controller->reload(); });
}

std::uint16_t Server::listener_port() const {
    return parts_->listener_port;
}
std::uint16_t Server::admin_port() const {
    return parts_->admin_port;
}

}  // namespace rproxy::server
