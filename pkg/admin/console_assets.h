#pragma once

#include <span>
#include <string_view>

namespace rproxy::admin {

/// One file of the console, as it lies in the binary. Everything has static storage duration.
struct Asset {
    std::string_view path;          ///< As requested: `/index.html`, which is also served as `/`.
    std::string_view content_type;  ///< Value of the Content-Type field.
    std::string_view etag;          ///< Value of the ETag field, quotes included; hash of `bytes`.
    std::string_view bytes;
    std::string_view gzip;  ///< `bytes` for clients whose Accept-Encoding has gzip.
};

/// Every file of the console. Safe on any thread.
std::span<const Asset> console_assets();

}  // namespace rproxy::admin
