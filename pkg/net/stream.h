#pragma once

#include "net/fd.h"

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

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
    /// Of a read that is Ok: there may be more now. Otherwise the next event tells (a short read
    /// emptied the socket, epoll(7)), but for the end of a peer that has closed: that event may
    /// have come before.
    bool more{false};
};

/// What encrypts a Stream: everything that is read and written goes through it. Its results mean
/// what those of the Stream mean. The Stream's thread only.
class SecureLayer {
public:
    virtual ~SecureLayer() = default;
    /// Goes on with the handshake. Ok: it is done, and with `more` something was read beyond it;
    /// WouldBlock: the peer must do something first, or take what has_output().
    virtual IoResult handshake() = 0;
    virtual IoResult read(std::span<char> into) = 0;
    /// What was not written as a whole must be written again with the same bytes: part of them may
    /// be encrypted already.
    virtual IoResult write(std::span<const iovec> pieces) = 0;
    /// Encrypted bytes wait for the socket to take them; the next call of any kind tries.
    virtual bool has_output() const = 0;
    /// The end of what we send, said so that nobody can have cut it off.
    virtual void end_output() = 0;
    /// Why it Failed, for people; empty: it did not.
    virtual std::string_view problem() const = 0;
};

/// A connected byte stream, non-blocking. TCP or unix, encrypted or not.
class Stream {
public:
    Stream() = default;
    explicit Stream(Fd fd) : fd_(std::move(fd)) {}

    /// From now on everything goes through `layer`; handshake() comes first.
    void secure(std::unique_ptr<SecureLayer> layer) { layer_ = std::move(layer); }
    SecureLayer* layer() const { return layer_.get(); }
    bool secured() const { return layer_ != nullptr; }
    /// Ok at once where nothing is encrypted.
    IoResult handshake() { return layer_ ? layer_->handshake() : IoResult{}; }

    IoResult read(std::span<char> into);
    IoResult write(std::span<const iovec> pieces);
    /// Tells the peer that nothing more will come; reading goes on.
    void shutdown_write();
    int fd() const { return fd_.get(); }
    bool open() const { return static_cast<bool>(fd_); }
    /// An encrypted stream says goodbye, unless abort_on_close() was called.
    void close();
    /// Makes close() send a reset: the peer must not take what it got for complete.
    void abort_on_close();

private:
    Fd fd_;
    std::unique_ptr<SecureLayer> layer_;
    bool aborts_{false};
    bool ended_{false};
};

}  // namespace rproxy::net
