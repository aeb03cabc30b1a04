#include "tls/ticket_keys.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstdlib>

namespace rproxy::tls {

namespace {

void fill(std::span<unsigned char> bytes) {
    if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) {
        std::abort();  // no system that TLS could be safe on
    }
}

}  // namespace

TicketKeys::Key::~Key() {
    OPENSSL_cleanse(encryption.data(), encryption.size());
    OPENSSL_cleanse(authentication.data(), authentication.size());
}

const TicketKeys::Key* TicketKeys::find(std::span<const unsigned char> name) const {
    const auto found = std::ranges::find_if(
        keys_, [&](const Key& key) { return std::ranges::equal(key.name, name); });
    return found == keys_.end() ? nullptr : &*found;
}

std::shared_ptr<const TicketKeys> TicketKeys::next(const std::vector<Key>& before) {
    const std::shared_ptr<TicketKeys> ring(new TicketKeys);
    ring->keys_.reserve(kMost);
    Key& fresh = ring->keys_.emplace_back();
    fill(fresh.name);
    fill(fresh.encryption);
    fill(fresh.authentication);
    for (std::size_t i = 0; i < before.size() && ring->keys_.size() < kMost; ++i) {
        ring->keys_.push_back(before[i]);
    }
    return ring;
}

}  // namespace rproxy::tls
