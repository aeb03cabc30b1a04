#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace rproxy::tls {

/// What session tickets are encrypted with (RFC 5077 §4): a new key now and then, the ones before
/// it kept until no ticket of theirs is valid. One ring for the whole process, so that a client may
/// come back to any worker, and after any reload. Immutable, shared by all threads; keys are
/// overwritten when the last user lets go.
class TicketKeys {
public:
    struct Key {
        std::array<unsigned char, 16> name{};
        std::array<unsigned char, 32> encryption{};
        std::array<unsigned char, 32> authentication{};
        Key() = default;
        ~Key();
        Key(const Key&) = default;
        Key& operator=(const Key&) = default;
        Key(Key&&) = delete;
        Key& operator=(Key&&) = delete;
    };

    /// A ring with one random key.
    static std::shared_ptr<const TicketKeys> make() { return next({}); }
    /// A new random key in front of those of `before`, of which the oldest goes.
    static std::shared_ptr<const TicketKeys> rotated(const TicketKeys& before) {
        return next(before.keys_);
    }

    /// For new tickets.
    const Key& newest() const { return keys_.front(); }
    /// For a ticket of this name; null: it is too old, or not ours.
    const Key* find(std::span<const unsigned char> name) const;
    std::size_t size() const { return keys_.size(); }

private:
    TicketKeys() = default;
    static std::shared_ptr<const TicketKeys> next(const std::vector<Key>& before);

    static constexpr std::size_t kMost = 3;
    std::vector<Key> keys_;  // newest first; reserved once, so that none leaves a copy behind
};

}  // namespace rproxy::tls
