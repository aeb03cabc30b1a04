#include "config/diff.h"
#include "config/load.h"
#include "config/render.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

/// Any bytes are a configuration or a list of issues, never a crash; what loads is rendered and
/// read back as the same, and nothing changes between the two.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    using namespace rproxy::config;  // NOLINT(google-build-using-namespace): one function
    const std::string_view text(reinterpret_cast<const char*>(bytes), size);
    const auto loaded = load(text);
    if (!loaded) {
        if (loaded.error().empty()) {
            std::abort();
        }
        for (const auto& issue : loaded.error()) {
            if (issue.message.empty() || format(issue, "f").empty()) {
                std::abort();
            }
        }
        return 0;
    }
    for (const auto detail : {Detail::Changed, Detail::Full}) {
        const auto again = load(render(*loaded, detail));
        if (!again || !(*again == *loaded) || !plan(*loaded, *again).empty()) {
            std::abort();
        }
    }
    return 0;
}
