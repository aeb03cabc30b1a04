#include "base/endpoint.h"
#include "cmd/rproxy/arguments.h"
#include "cmd/rproxy/commands.h"

#include <httplib.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>

#include <array>
#include <cstdint>
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

const std::vector<std::string> kAdminFlags{"--admin", "--admin-token-file"};

std::vector<std::string> with_admin_flags(std::vector<std::string> flags) {
    flags.insert(flags.end(), kAdminFlags.begin(), kAdminFlags.end());
    return flags;
}

enum class Call : std::uint8_t { Get, Post };

/// Asks the admin port; prints its answer, to stderr when that is no.
int ask(std::string_view command, const Arguments& arguments, const std::string& path, Call call) {
    const std::string address = arguments.get("--admin").value_or("127.0.0.1:9090");
    const auto endpoint = Endpoint::parse(address);
    if (!endpoint) {
        return usage_error(command, "--admin: " + endpoint.error());
    }
    const auto client = make_client(*endpoint);
    if (const auto file = arguments.get("--admin-token-file")) {
        std::ifstream stream(*file);
        std::string token;
        stream >> token;
        if (token.empty()) {
            return usage_error(command, "--admin-token-file: no token in " + *file);
        }
        client->set_bearer_token_auth(token);
    }
    const auto result = call == Call::Post ? client->Post(path) : client->Get(path);
    if (!result) {
        std::fprintf(stderr, "rproxy %s: cannot reach the admin port at %s: %s\n",
                     std::string(command).c_str(), address.c_str(),
                     httplib::to_string(result.error()).c_str());
        return kNo;
    }
    constexpr int kBadRequest = 400;
    if (result->status == kBadRequest) {
        const auto answer = nlohmann::json::parse(result->body, nullptr, false);
        return usage_error(command,
                           answer.is_object() ? answer.value("error", result->body) : result->body);
    }
    const bool yes = result->status >= 200 && result->status < 300;
    std::fputs(result->body.c_str(), yes ? stdout : stderr);
    return yes ? kYes : kNo;
}

int ask_plainly(std::string_view command, Words words, const char* path, Call call) {
    const auto arguments = Arguments::parse(words, kAdminFlags, 0);
    return arguments ? ask(command, *arguments, path, call)
                     : usage_error(command, arguments.error());
}

/// `name=value` for the query of a URL, everything but unreserved characters encoded.
void append_parameter(std::string& query, std::string_view name, std::string_view value) {
    query += query.empty() ? '?' : '&';
    query.append(name).append("=");
    constexpr std::string_view kHex = "0123456789ABCDEF";
    for (const char c : value) {
        const auto byte = static_cast<unsigned char>(c);
        const bool unreserved = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                                (c >= 'A' && c <= 'Z') || c == '-' || c == '.' || c == '_' ||
                                c == '~';
        if (unreserved) {
            query += c;
        } else {
            query += {'%', kHex[byte >> 4U], kHex[byte & 15U]};
        }
    }
}

}  // namespace

int ready(Words words) {
    return ask_plainly("ready", words, "/readyz", Call::Get);
}
int live(Words words) {
    return ask_plainly("live", words, "/livez", Call::Get);
}
int drain(Words words) {
    return ask_plainly("drain", words, "/api/v1/drain", Call::Post);
}

int explain(Words words) {
    constexpr std::array<const char*, 6> kParameters{"pool",   "client", "path",
                                                     "header", "host",   "method"};
    std::vector<std::string> flags{"--format"};
    for (const char* const name : kParameters) {
        flags.push_back("--" + std::string(name));
    }
    const auto arguments = Arguments::parse(words, with_admin_flags(flags), 0);
    if (!arguments) {
        return usage_error("explain", arguments.error());
    }
    std::string query;
    append_parameter(query, "format", arguments->given("--format").value_or("text"));
    for (const char* const name : kParameters) {
        for (const auto& value : arguments->all("--" + std::string(name))) {
            append_parameter(query, name, value);
        }
    }
    return ask("explain", *arguments, "/api/v1/explain" + query, Call::Get);
}

int log_level(Words words) {
    if (const auto plain = Arguments::parse(words, kAdminFlags, 0)) {
        return ask("log-level", *plain, "/api/v1/log", Call::Get);
    }
    const auto level = Arguments::parse(words, kAdminFlags, 1);
    if (!level) {
        return usage_error("log-level", level.error());
    }
    std::string query;
    append_parameter(query, "level", level->positional().front());
    return ask("log-level", *level, "/api/v1/log" + query, Call::Post);
}

}  // namespace rproxy::cmd
