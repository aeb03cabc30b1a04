#pragma once

#include "net/event_loop.h"
#include "tls/ticket_keys.h"

#include <array>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace rproxy::tls {

/// What all sessions of one event loop share: the buffer in which the records of one write become
/// one send, and the ticket keys of the moment. The loop's thread only; outlives its sessions.
class Io {
public:
    explicit Io(net::EventLoop& loop) : loop_(loop) { records_.reserve(kRoom); }

    MonotonicTime now() const { return loop_.now(); }
    const TicketKeys* ticket_keys() const { return ticket_keys_.get(); }
    void set_ticket_keys(std::shared_ptr<const TicketKeys> keys) { ticket_keys_ = std::move(keys); }
    /// Encrypted bytes of the present call; empty between calls.
    std::vector<char>& records() { return records_; }
    /// Plain bytes of one record that come from several places.
    std::array<char, 16384>& plain() { return plain_; }
    /// More than that is sent at once instead of being collected.
    static constexpr std::size_t kSendAt = std::size_t{128} << 10U;

private:
    static constexpr std::size_t kRoom = std::size_t{40} << 10U;
    net::EventLoop& loop_;
    std::shared_ptr<const TicketKeys> ticket_keys_;
    std::vector<char> records_;
    std::array<char, 16384> plain_{};
};

}  // namespace rproxy::tls
