#pragma once

#include <string>
#include <string_view>

/// Compressed answers of the admin port. Pure; any thread.
namespace rproxy::admin {

/// Whether a client with this Accept-Encoding takes gzip: it names gzip (or `*` and not gzip), not
/// with `q=0` (RFC 9110 §12.5.3).
bool accepts_gzip(std::string_view accept_encoding);

/// `text` as one gzip member, compressed fast rather than small: a scrape must not take long, and
/// metrics shrink to a tenth anyway.
std::string gzip(std::string_view text);

}  // namespace rproxy::admin
