#include "proxy/acceptor.h"

#include "proxy/proxy.h"

#include <sys/epoll.h>
#include <sys/socket.h>

namespace rproxy::proxy {

Acceptor::Acceptor(Proxy& proxy, net::Fd fd, const runtime::ListenerPlan& plan)
    : proxy_(proxy),
      fd_(std::move(fd)),
      state_(plan.state),
      port_(plan.port),
      proxy_protocol_(plan.config.proxy_protocol),
      backlog_(plan.config.backlog),
      rules_(plan.rules) {
    proxy_.loop().add(fd_.get(), EPOLLIN, *this);
}

Acceptor::~Acceptor() {
    proxy_.loop().remove(fd_.get(), *this);
}

void Acceptor::update(const runtime::ListenerPlan& plan) {
    state_ = plan.state;
    proxy_protocol_ = plan.config.proxy_protocol;
    rules_ = plan.rules;
    if (backlog_ != plan.config.backlog) {
        backlog_ = plan.config.backlog;
        // Again on a socket that listens: only the length of its queue changes.
        ::listen(fd_.get(), static_cast<int>(backlog_));
    }
}

void Acceptor::on_event(std::uint32_t /*events*/) {
    accept_waiting();
}

void Acceptor::accept_waiting() {
    while (true) {
        auto accepted = net::accept_one(fd_.get());
        if (!accepted) {
            // Out of descriptors or memory: the client stays in the queue, and no new edge will
            // tell of it.
            constexpr std::chrono::milliseconds kPause{100};
            proxy_.loop().arm(retry_, proxy_.loop().now() + kPause);
            proxy_.report_accept_failure(accepted.error());
            return;
        }
        if (!*accepted) {
            return;
        }
        proxy_.accept(std::move(**accepted), {state_, port_, proxy_protocol_, rules_});
    }
}

}  // namespace rproxy::proxy
