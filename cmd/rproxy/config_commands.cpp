#include "cmd/rproxy/arguments.h"
#include "cmd/rproxy/commands.h"
#include "config/diff.h"
#include "config/load.h"
#include "config/schema.h"
#include "tls/material.h"

#include <nlohmann/json.hpp>

#include <chrono>
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

nlohmann::ordered_json to_json(const std::vector<config::Issue>& issues, const std::string& path) {
    auto all = nlohmann::ordered_json::array();
    for (const auto& issue : issues) {
        all.push_back({{"file", path},
                       {"line", issue.line},
                       {"column", issue.column},
                       {"path", issue.path},
                       {"message", issue.message},
                       {"hint", issue.hint}});
    }
    return all;
}

/// What `check` has found.
struct Findings {
    std::vector<config::Issue> errors;
    std::vector<config::Issue> warnings;
};

/// The file, and the files of certificates that it names as far as they are there.
Findings inspect(const std::string& path) {
    auto loaded = load_file(path);
    if (!loaded) {
        return {std::move(loaded.error()), {}};
    }
    auto material = tls::load_material(
        *loaded, {.now = std::chrono::system_clock::now(), .tolerates_missing = true});
    return material ? Findings{{}, std::move(material->warnings)}
                    : Findings{std::move(material.error()), {}};
}

void print_json(const Findings& findings, const std::string& path) {
    const nlohmann::ordered_json answer{{"file", path},
                                        {"valid", findings.errors.empty()},
                                        {"errors", to_json(findings.errors, path)},
                                        {"warnings", to_json(findings.warnings, path)}};
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
    const Findings findings = inspect(path);
    const bool valid = findings.errors.empty();
    if (format == "json") {
        print_json(findings, path);
        return valid ? kYes : kNo;
    }
    if (valid) {
        std::printf("%s: valid\n", path.c_str());
    }
    print_issues(findings.errors, path);
    for (const auto& issue : findings.warnings) {
        std::fprintf(stderr, "warning: %s\n", config::format(issue, path).c_str());
    }
    return valid ? kYes : kNo;
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
