#pragma once

#include "base/ip_address.h"
#include "config/snapshot.h"
#include "http/field.h"
#include "http/target.h"

#include <cstdint>
#include <span>

namespace rproxy::proxy {

/// What a request is hashed by where the pool's method asks for it.
struct HashKey {
    std::uint64_t hash{0};
    /// Where it was taken from: the client's address also stands in for what `hash_on` names and
    /// the request does not have.
    config::HashOn::Source source{config::HashOn::Source::ClientIp};
};

/// Facts in, verdict out; allocates nothing. Any thread.
HashKey hash_key(const config::Pool& pool, const http::Target& target,
                 std::span<const http::Field> fields, const IpAddress& client);

}  // namespace rproxy::proxy
