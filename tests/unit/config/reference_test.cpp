#include "config/reference.h"

#include "unit/config/files.h"
#include "unit/config/yaml_blocks.h"

#include <gtest/gtest.h>

#include <string>

namespace rproxy::config::testing {
namespace {

TEST(Reference, IsInTheDocumentation) {
    const auto path = source_dir() / "docs/configuration.md";
    if (updating()) {
        write_file(path, reference_markdown());
    }
    EXPECT_EQ(read_file(path), reference_markdown())
        << "docs/configuration.md is stale; write it anew with:\n"
           "  RPROXY_UPDATE_DOCS=1 ctest --test-dir BUILD -R config_test";
}

TEST(Reference, ShowsOnlyValidFiles) {
    const auto blocks = yaml_blocks(reference_markdown());
    ASSERT_EQ(blocks.size(), 3U);
    for (const auto& block : blocks) {
        must_load(block);
    }
}

TEST(Reference, ShowsTheDefaultsInTheFullForm) {
    // What the full form shows as defaults is what an absent key means.
    const Snapshot full = must_load(yaml_blocks(reference_markdown()).back());
    ASSERT_EQ(full.pools.size(), 1U);
    Snapshot expected;
    expected.pools = {Pool{.name = "web"}};
    expected.pools[0].sticky = Sticky{};
    expected.pools[0].backends = full.pools[0].backends;
    expected.pools[0].tls = full.pools[0].tls;
    expected.pools[0].health_check.path = "/healthz";
    expected.pools[0].health_check.host = "web.internal";
    expected.pools[0].health_check.port = 8081;
    expected.routes = full.routes;
    expected.listeners[0].tls = full.listeners[0].tls;
    expected.trusted_proxies = full.trusted_proxies;
    expected.admin_address = full.admin_address;
    expected.rollout = Rollout{};
    EXPECT_EQ(full, expected);
}

}  // namespace
}  // namespace rproxy::config::testing
