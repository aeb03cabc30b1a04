#include "net/fd.h"

#include <unistd.h>

namespace rproxy::net {

void Fd::reset() {
    if (fd_ >= 0) {
        ::close(std::exchange(fd_, -1));
    }
}

}  // namespace rproxy::net
