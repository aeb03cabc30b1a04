#include "base/strings.h"
#include "cmd/rproxy/commands.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

namespace rproxy::cmd {

namespace {

constexpr const char* kHelp =
    R"(rproxy: an HTTP reverse proxy and load balancer for Kubernetes

  rproxy [serve] --config FILE [--admin HOST:PORT] [--admin-token-file FILE] [--state-dir DIR]
                 [--workers N] [--log-level LEVEL] [--log-format json|text]
  rproxy demo    [--port 8080] [--admin-port 9090]   three toy backends and a proxy, for a first look
  rproxy check FILE [--format text|json]             validate a configuration file
  rproxy plan OLD NEW                                what applying NEW over OLD would change
  rproxy schema                                      JSON Schema of the configuration
  rproxy ready | live | drain  [--admin HOST:PORT]   for probes and preStop hooks
  rproxy explain [--path P] [--host H] [--client IP] [--header 'NAME: VALUE']... [--method M]
                 [--pool NAME] [--format text|json] [--admin HOST:PORT]
                                                     where a request would go and why; sends nothing
  rproxy log-level [debug|info|warn|error|default]   shows or changes the level of a running proxy
  rproxy version

Every flag also reads an environment variable (--config: RPROXY_CONFIG); a flag wins.
Exit status: 0 yes or done, 1 no, 2 wrong usage.
)";

struct Command {
    std::string_view name;
    int (*run)(Words);
};
constexpr std::array<Command, 11> kCommands{{{"serve", serve},
                                             {"demo", demo},
                                             {"check", check},
                                             {"plan", plan},
                                             {"schema", schema},
                                             {"ready", ready},
                                             {"live", live},
                                             {"drain", drain},
                                             {"explain", explain},
                                             {"log-level", log_level},
                                             {"version", version}}};

int run(Words words) {
    if (words.empty()) {
        // A container may be configured by its environment alone.
        if (std::getenv("RPROXY_CONFIG") != nullptr) {  // NOLINT(concurrency-mt-unsafe)
            return serve(words);
        }
        std::fputs(kHelp, stderr);
        return kUsage;
    }
    const auto asks_for_help = [](std::string_view word) {
        return word == "--help" || word == "-h";
    };
    if (words[0] == "help" || std::ranges::any_of(words, asks_for_help)) {
        std::fputs(kHelp, stdout);
        return kYes;
    }
    if (words[0] == "--version") {
        return version({});
    }
    if (words[0].starts_with("--")) {
        return serve(words);
    }
    for (const auto& command : kCommands) {
        if (command.name == words[0]) {
            return command.run(words.subspan(1));
        }
    }
    std::vector<std::string> names;
    names.reserve(kCommands.size());
    for (const auto& command : kCommands) {
        names.emplace_back(command.name);
    }
    const auto nearest = nearest_word(words[0], names);
    std::fprintf(stderr, "rproxy: unknown command '%s'%s\nrproxy --help lists the commands\n",
                 std::string(words[0]).c_str(),
                 nearest ? (", did you mean '" + *nearest + "'?").c_str() : "");
    return kUsage;
}

}  // namespace

int usage_error(std::string_view command, std::string_view message) {
    std::fprintf(stderr, "rproxy %s: %s\nrproxy --help shows the usage\n",
                 std::string(command).c_str(), std::string(message).c_str());
    return kUsage;
}

int version(Words /*words*/) {
    std::printf("rproxy %s (%s)\n", RPROXY_VERSION, RPROXY_REVISION);
    return kYes;
}

}  // namespace rproxy::cmd

int main(int argc, char** argv) {
    try {
        const std::vector<std::string_view> words(argv + 1, argv + argc);
        return rproxy::cmd::run(words);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "rproxy: %s\n", error.what());
        return rproxy::cmd::kNo;
    }
}
