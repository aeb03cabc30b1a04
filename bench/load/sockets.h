#pragma once

#include <sys/epoll.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

namespace rproxy::bench {

/// Owns one file descriptor.
class Descriptor {
public:
    Descriptor() = default;
    explicit Descriptor(int number) : number_(number) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept;
    ~Descriptor() { close(); }

    int get() const { return number_; }
    bool is_open() const { return number_ >= 0; }
    void close();

private:
    int number_{-1};
};

/// Who may connect to a listener.
enum class Reach : std::uint8_t { Loopback, AnyAddress };

/// A non-blocking listener on 127.0.0.1 (or every address) that shares its port with others
/// (SO_REUSEPORT). Ends the program when the port cannot be had.
Descriptor listen_on(std::uint16_t port, Reach reach = Reach::Loopback);

/// The next waiting connection of `listener`, non-blocking and without Nagle's delay, if any.
std::optional<Descriptor> accept_from(const Descriptor& listener);

/// A connection to 127.0.0.1 that may still be under way; ends the program when out of descriptors.
Descriptor connect_to(std::uint16_t port);

/// How an attempt to read or write went.
enum class Transfer : std::uint8_t {
    Done,    ///< `bytes` were moved; it may be less than was asked for.
    Later,   ///< Nothing now; wait for the descriptor.
    Closed,  ///< The peer has gone.
};

struct Moved {
    Transfer how{Transfer::Later};
    std::size_t bytes{0};
};

Moved receive(const Descriptor& socket, std::span<char> into);
/// As receive(), but throws up to `limit` bytes away in the kernel, which spares the copy.
Moved discard(const Descriptor& socket, std::size_t limit);
Moved send(const Descriptor& socket, std::span<const char> bytes);

/// Level-triggered readiness of many descriptors; what was registered comes back as a pointer.
class Epoll {
public:
    Epoll();
    void add(const Descriptor& descriptor, std::uint32_t events, void* owner);
    void change(const Descriptor& descriptor, std::uint32_t events, void* owner);
    void remove(const Descriptor& descriptor);
    /// Waits at most `limit` (for ever without one). The events are valid until the next wait.
    std::span<const epoll_event> wait(std::optional<std::chrono::nanoseconds> limit);

private:
    Descriptor epoll_;
    epoll_event events_[256]{};
};

/// Lets the process hold as many descriptors as it may, and its timers fire on time.
void prepare_process();

}  // namespace rproxy::bench
