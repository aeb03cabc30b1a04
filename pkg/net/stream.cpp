#include "net/stream.h"

#include <sys/socket.h>

#include <cerrno>

namespace rproxy::net {

namespace {

IoResult failed_or_blocked() {
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
        return {IoResult::Status::WouldBlock, 0, 0};
    }
    return {IoResult::Status::Failed, 0, errno};
}

}  // namespace

IoResult Stream::read(std::span<char> into) {
    while (true) {
        const ssize_t got = ::recv(fd_.get(), into.data(), into.size(), 0);
        if (got > 0) {
            return {IoResult::Status::Ok, static_cast<std::size_t>(got), 0};
        }
        if (got == 0) {
            return {IoResult::Status::Closed, 0, 0};
        }
        if (errno != EINTR) {
            return failed_or_blocked();
        }
    }
}

IoResult Stream::write(std::span<const iovec> pieces) {
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
    ::shutdown(fd_.get(), SHUT_WR);
}

void Stream::abort_on_close() {
    const linger option{1, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &option, sizeof option);
}

}  // namespace rproxy::net
