#include "cmd/rproxy/arguments.h"
#include "cmd/rproxy/commands.h"
#include "config/diff.h"
#include "config/load.h"
#include "config/schema.h"
#include "config/unsupported.h"

#include <nlohmann/json.hpp>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace rproxy::cmd {

namespace {

std::optional<std::string> read_text(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::error_code ignored;
    if (!file || std::filesystem::is_directory(path, ignored)) {
        return std::nullopt;
    }
    std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    if (file.bad()) {
        return std::nullopt;
    }
    return text;
}

std::expected<config::Snapshot, std::vector<config::Issue>> load_file(const std::string& path) {
    const auto text = read_text(path);
    if (!text) {
        return std::unexpected{std::vector<config::Issue>{
            {0, 0, "", "the file cannot be read", "give the path of a readable YAML file"}}};
    }
    return config::load(*text);
}

void print_issues(const std::vector<config::Issue>& issues, const std::string& path) {
    for (const auto& issue : issues) {
        std::printf("%s\n", config::format(issue, path).c_str());
    }
}

void print_json(const std::vector<config::Issue>& issues, const std::string& path) {
    auto errors = nlohmann::ordered_json::array();
    for (const auto& issue : issues) {
        errors.push_back({{"file", path},
                          {"line", issue.line},
                          {"column", issue.column},
                          {"path", issue.path},
                          {"message", issue.message},
                          {"hint", issue.hint}});
    }
    const nlohmann::ordered_json answer{
        {"file", path}, {"valid", issues.empty()}, {"errors", errors}};
    std::printf(
        "%s\n",
        answer.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace).c_str());
}

}  // namespace

int check(Words words) {
    const std::vector<std::string> flags{"--format"};
    const auto arguments = Arguments::parse(words, flags, 1);
    if (!arguments) {
        return usage_error("check", arguments.error());
    }
    const auto format = arguments->given("--format").value_or("text");
    if (format != "text" && format != "json") {
        return usage_error("check", "--format is text or json");
    }
    const std::string& path = arguments->positional().front();
    const auto loaded = load_file(path);
    const auto issues = loaded ? std::vector<config::Issue>{} : loaded.error();
    if (format == "json") {
        print_json(issues, path);
    } else if (loaded) {
        std::printf("%s: valid\n", path.c_str());
        // The file is right; only a program that can do it will take it.
        for (const auto& issue : config::unsupported(*loaded)) {
            std::fprintf(stderr, "warning: %s\n", config::format(issue, path).c_str());
        }
    } else {
        print_issues(issues, path);
    }
    return loaded ? kYes : kNo;
}

int plan(Words words) {
    const auto arguments = Arguments::parse(words, {}, 2);
    if (!arguments) {
        return usage_error("plan", arguments.error());
    }
    const auto& files = arguments->positional();
    const auto before = load_file(files[0]);
    const auto after = load_file(files[1]);
    for (const auto& [loaded, path] : {std::pair{&before, files[0]}, std::pair{&after, files[1]}}) {
        if (!*loaded) {
            print_issues(loaded->error(), path);
        }
    }
    if (!before || !after) {
        return kNo;
    }
    const auto changes = config::plan(*before, *after);
    for (const auto& change : changes) {
        std::printf("%s\n", change.c_str());
    }
    if (changes.empty()) {
        std::printf("no changes\n");
    }
    return kYes;
}

int schema(Words words) {
    const auto arguments = Arguments::parse(words, {}, 0);
    if (!arguments) {
        return usage_error("schema", arguments.error());
    }
    std::printf("%s\n", config::json_schema().c_str());
    return kYes;
}

}  // namespace rproxy::cmd
