#include "base/endpoint.h"
#include "cmd/rproxy/arguments.h"
#include "cmd/rproxy/commands.h"

#include <httplib.h>
#include <sys/socket.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

namespace rproxy::cmd {

namespace {

/// A listener on every address is reached over loopback.
std::string reachable_host(const std::string& host) {
    if (host == "0.0.0.0") {
        return "127.0.0.1";
    }
    return host == "::" ? "::1" : host;
}

std::unique_ptr<httplib::Client> make_client(const Endpoint& admin) {
    constexpr int kUnixPort = 80;
    auto client = admin.is_unix()
                      ? std::make_unique<httplib::Client>(admin.path, kUnixPort)
                      : std::make_unique<httplib::Client>(reachable_host(admin.host), admin.port);
    if (admin.is_unix()) {
        client->set_address_family(AF_UNIX);
    }
    client->set_connection_timeout(2);
    client->set_read_timeout(5);
    return client;
}

/// Asks the admin port; prints what it says when that is no.
int ask(std::string_view command, Words words, const char* path, bool post) {
    const std::vector<std::string> flags{"--admin", "--admin-token-file"};
    const auto arguments = Arguments::parse(words, flags, 0);
    if (!arguments) {
        return usage_error(command, arguments.error());
    }
    const std::string address = arguments->get("--admin").value_or("127.0.0.1:9090");
    const auto endpoint = Endpoint::parse(address);
    if (!endpoint) {
        return usage_error(command, "--admin: " + endpoint.error());
    }
    const auto client = make_client(*endpoint);
    if (const auto file = arguments->get("--admin-token-file")) {
        std::ifstream stream(*file);
        std::string token;
        stream >> token;
        if (token.empty()) {
            return usage_error(command, "--admin-token-file: no token in " + *file);
        }
        client->set_bearer_token_auth(token);
    }
    const auto result = post ? client->Post(path) : client->Get(path);
    if (!result) {
        std::fprintf(stderr, "rproxy %s: cannot reach the admin port at %s: %s\n",
                     std::string(command).c_str(), address.c_str(),
                     httplib::to_string(result.error()).c_str());
        return kNo;
    }
    const bool yes = result->status >= 200 && result->status < 300;
    std::fputs(result->body.c_str(), yes ? stdout : stderr);
    return yes ? kYes : kNo;
}

}  // namespace

int ready(Words words) {
    return ask("ready", words, "/readyz", false);
}
int live(Words words) {
    return ask("live", words, "/livez", false);
}
int drain(Words words) {
    return ask("drain", words, "/api/v1/drain", true);
}

}  // namespace rproxy::cmd
