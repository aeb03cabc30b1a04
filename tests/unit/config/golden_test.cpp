#include "config/load.h"
#include "config/render.h"
#include "unit/config/files.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

/// Every file of tests/testdata/config: good ones with their canonical form beside them, bad ones
/// with the issues that they must have. RPROXY_UPDATE_DOCS=1 writes the expectations anew; read the
/// difference before you commit it.
namespace rproxy::config::testing {
namespace {

std::filesystem::path corpus() {
    return source_dir() / "tests/testdata/config";
}

std::filesystem::path beside(std::filesystem::path path, const char* extension) {
    return path.replace_extension(extension);
}

void expect_content(const std::filesystem::path& path, const std::string& content) {
    if (updating()) {
        write_file(path, content);
    }
    EXPECT_EQ(read_file(path), content) << path << " (RPROXY_UPDATE_DOCS=1 writes it anew)";
}

TEST(Golden, GoodFilesHaveTheirCanonicalForm) {
    const auto files = files_in(corpus() / "good", ".yaml");
    ASSERT_FALSE(files.empty());
    for (const auto& file : files) {
        SCOPED_TRACE(file);
        const Snapshot snapshot = must_load(read_file(file));
        expect_content(beside(file, ".canonical"), render(snapshot));
        EXPECT_EQ(must_load(read_file(beside(file, ".canonical"))), snapshot);
    }
}

TEST(Golden, TheFullFormShowsTheDefaults) {
    // good/full.yaml is the one of the product's contract.
    const Snapshot full = must_load(read_file(corpus() / "good/full.yaml"));
    Snapshot expected;
    expected.listeners[0].tls = ListenerTls{.certificates = {{"/certs/tls.crt", "/certs/tls.key"}},
                                            .client_ca = "/certs/ca.crt"};
    Pool& pool = expected.pools.emplace_back(Pool{.name = "web"});
    pool.sticky = Sticky{};
    pool.backends = {
        {.address = {"10.0.0.1", 8080, {}}, .name = "10.0.0.1:8080"},
        {.address = {"10.0.0.2", 8080, {}}, .name = "big", .weight = 3, .max_connections = 100},
        {.address = {"web.default.svc", 8080, {}}, .name = "web.default.svc:8080"},
        {.address = {"10.0.0.9", 8080, {}}, .name = "10.0.0.9:8080", .state = AdminState::Drain}};
    pool.tls = BackendTls{.server_name = "web.internal",
                          .ca = "/certs/ca.crt",
                          .cert = "/certs/client.crt",
                          .key = "/certs/client.key"};
    pool.health_check.path = "/healthz";
    pool.health_check.host = "web.internal";
    pool.health_check.port = 8081;
    expected.routes = {Route{.host = "example.com", .path = "/api", .pool = "web"}};
    expected.admin_address = Endpoint{"0.0.0.0", 9090, {}};
    expected.rollout = Rollout{};
    EXPECT_EQ(full, expected);
}

TEST(Golden, BadFilesHaveTheirIssues) {
    const auto files = files_in(corpus() / "bad", ".yaml");
    ASSERT_FALSE(files.empty());
    for (const auto& file : files) {
        SCOPED_TRACE(file);
        const auto loaded = load(read_file(file));
        ASSERT_FALSE(loaded);
        expect_content(beside(file, ".issues"),
                       issues_text(loaded.error(), file.filename().string()));
    }
}

}  // namespace
}  // namespace rproxy::config::testing
