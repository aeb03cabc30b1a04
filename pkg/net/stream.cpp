#include "net/stream.h"

#include <sys/socket.h>

#include <cerrno>

namespace rproxy::net {

namespace {

IoResult failed_or_blocked() {
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
        return {IoResult::Status::WouldBlock};
    }
    return {IoResult::Status::Failed, 0, errno};
}

}  // namespace

IoResult Stream::read(std::span<char> into) {
    if (layer_) [[unlikely]] {
        return layer_->read(into);
    }
    while (true) {
        const ssize_t got = ::recv(fd_.get(), into.data(), into.size(), 0);
        if (got > 0) {
            const auto bytes = static_cast<std::size_t>(got);
            return {IoResult::Status::Ok, bytes, 0, bytes == into.size()};
        }
        if (got == 0) {
            return {IoResult::Status::Closed};
        }
        if (errno != EINTR) {
            return failed_or_blocked();
        }
    }
}

IoResult Stream::write(std::span<const iovec> pieces) {
    if (layer_) [[unlikely]] {
        return layer_->write(pieces);
    }
    while (true) {
        ssize_t sent = 0;
        if (pieces.size() == 1) {
            sent = ::send(fd_.get(), pieces.front().iov_base, pieces.front().iov_len, MSG_NOSIGNAL);
        } else {
            msghdr message{};
            message.msg_iov = const_cast<iovec*>(pieces.data());  // sendmsg(2) does not write to it
            message.msg_iovlen = pieces.size();
            sent = ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
        }
        if (sent >= 0) {
            return {IoResult::Status::Ok, static_cast<std::size_t>(sent), 0};
        }
        if (errno != EINTR) {
            return failed_or_blocked();
        }
    }
}

void Stream::shutdown_write() {
    if (layer_) {
        layer_->end_output();
        ended_ = true;
    }
    ::shutdown(fd_.get(), SHUT_WR);
}

void Stream::close() {
    if (layer_ && !aborts_ && !ended_) {
        layer_->end_output();
    }
    layer_.reset();
    fd_.reset();
    aborts_ = ended_ = false;
}

void Stream::abort_on_close() {
    aborts_ = true;
    const linger option{1, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &option, sizeof option);
}

}  // namespace rproxy::net
