#pragma once

#include "config/types.h"

/// The free texts of the configuration and what each may be.
namespace rproxy::config {

TextRule file_path();
TextRule object_name();   ///< Of a pool or listener: a label in metrics and logs.
TextRule backend_name();  ///< May also look like an address, which is its default.
TextRule http_token();    ///< A method or cookie name (RFC 9110 section 5.6.2).
TextRule host_header();   ///< `name`, `name:port`, or the same with an IP address.
TextRule host_name();     ///< A DNS name or an IP address, no port.
TextRule cipher_name();   ///< As OpenSSL writes them; whether it is known, pkg/tls tells.
TextRule url_path();      ///< Begins with '/', without white space and '#'.
TextRule url_prefix();    ///< The same without a query.

}  // namespace rproxy::config
