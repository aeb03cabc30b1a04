#include "base/strings.h"
#include "cmd/rproxy/arguments.h"
#include "cmd/rproxy/commands.h"
#include "server/server.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <string>
#include <vector>

namespace rproxy::cmd {

namespace {

constexpr std::size_t kMostWorkers = 1024;

std::expected<server::Options, std::string> to_options(const Arguments& arguments) {
    server::Options options;
    const auto config = arguments.get("--config");
    if (!config) {
        return std::unexpected{std::string("--config FILE is missing")};
    }
    options.config_path = *config;
    if (const auto admin = arguments.get("--admin")) {
        const auto endpoint = Endpoint::parse(*admin, true);
        if (!endpoint) {
            return std::unexpected{"--admin: " + endpoint.error()};
        }
        options.admin = *endpoint;
    }
    options.admin_token_file = arguments.get("--admin-token-file").value_or("");
    options.state_dir = arguments.get("--state-dir").value_or("");
    if (const auto text = arguments.get("--workers")) {
        const auto [end, error] =
            std::from_chars(text->data(), text->data() + text->size(), options.workers);
        if (error != std::errc{} || end != text->data() + text->size() || options.workers == 0 ||
            options.workers > kMostWorkers) {
            return std::unexpected{"--workers: '" + *text + "' is not a number from 1 to 1024"};
        }
    }
    const std::vector<std::string> levels{"debug", "info", "warn", "error"};
    if (const auto text = arguments.get("--log-level")) {
        const auto found = std::ranges::find(levels, *text);
        if (found == levels.end()) {
            return std::unexpected{"--log-level: '" + *text +
                                   "' is none of debug, info, warn, error"};
        }
        options.log_level = static_cast<config::LogLevel>(found - levels.begin());
    }
    if (const auto text = arguments.get("--log-format")) {
        if (*text != "json" && *text != "text") {
            return std::unexpected{"--log-format: '" + *text + "' is neither json nor text"};
        }
        options.log_format = *text == "json" ? config::LogFormat::Json : config::LogFormat::Text;
    }
    options.version = RPROXY_VERSION;
    options.revision = RPROXY_REVISION;
    return options;
}

}  // namespace

int serve(Words words) {
    const std::vector<std::string> flags{"--config",    "--admin",   "--admin-token-file",
                                         "--state-dir", "--workers", "--log-level",
                                         "--log-format"};
    const auto arguments = Arguments::parse(words, flags, 0);
    if (!arguments) {
        return usage_error("serve", arguments.error());
    }
    auto options = to_options(*arguments);
    if (!options) {
        return usage_error("serve", options.error());
    }
    server::block_signals();
    server::Server server(std::move(*options));
    const auto served = server.run();
    if (!served) {
        std::fprintf(stderr, "rproxy: %s\n", served.error().c_str());
        return kNo;
    }
    return kYes;
}

}  // namespace rproxy::cmd
