#pragma once

#include <chrono>
#include <thread>

namespace rproxy::test {

/// Looks at `condition` every millisecond or so until it holds; false if it does not within
/// `timeout`. For what another thread or process does; never a fixed sleep.
template <typename Condition>
bool wait_until(Condition condition, std::chrono::milliseconds timeout = std::chrono::seconds{10}) {
    const auto give_up = std::chrono::steady_clock::now() + timeout;
    while (!condition()) {
        if (std::chrono::steady_clock::now() >= give_up) {
            return false;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
    return true;
}

}  // namespace rproxy::test
