#include "proxy/hash_key.h"

#include "base/hash.h"
#include "base/strings.h"

namespace rproxy::proxy {

HashKey hash_key(const config::Pool& pool, const http::Target& target,
                 std::span<const http::Field> fields, const IpAddress& client) {
    using Source = config::HashOn::Source;
    const HashKey by_client{client.hash(), Source::ClientIp};
    if (pool.method != balancing::Method::ConsistentHash) {
        return by_client;
    }
    const config::HashOn& hash_on = pool.hash_on;
    if (hash_on.source == Source::Path) {
        return {stable_hash(target.path), Source::Path};
    }
    if (hash_on.source == Source::ClientIp) {
        return by_client;
    }
    for (const http::Field& field : fields) {
        if (hash_on.source == Source::Cookie && field.id == http::FieldId::Cookie) {
            const auto value = http::cookie_value(field.value, hash_on.name);
            if (!value.empty()) {
                return {stable_hash(value), Source::Cookie};
            }
        } else if (hash_on.source == Source::Header &&
                   equals_ignoring_case(field.name, hash_on.name)) {
            return {stable_hash(field.value), Source::Header};
        }
    }
    return by_client;
}

}  // namespace rproxy::proxy
