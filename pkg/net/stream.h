#pragma once

#include "net/fd.h"

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace rproxy::net {

/// What one read or write did.
struct IoResult {
    enum class Status : std::uint8_t {
        Ok,          ///< `bytes` were moved, at least one.
        WouldBlock,  ///< Nothing now; an event will tell.
        Closed,      ///< The peer will send no more (reads only).
        Failed,      ///< Reset, broken pipe and the like: the stream is dead.
    };
    Status status{Status::Ok};
    std::size_t bytes{0};
    int error{0};  ///< errno, for Failed.
};

/// A connected byte stream, non-blocking. TCP or unix; a TLS session would sit in here.
class Stream {
public:
    Stream() = default;
    explicit Stream(Fd fd) : fd_(std::move(fd)) {}

    IoResult read(std::span<char> into);
    IoResult write(std::span<const iovec> pieces);
    /// Tells the peer that nothing more will come; reading goes on.
    void shutdown_write();
    int fd() const { return fd_.get(); }
    bool open() const { return static_cast<bool>(fd_); }
    void close() { fd_.reset(); }
    /// Makes close() send a reset: the peer must not take what it got for complete.
    void abort_on_close();

private:
    Fd fd_;
};

}  // namespace rproxy::net
