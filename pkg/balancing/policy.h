#pragma once

#include "balancing/explanation.h"
#include "balancing/method.h"
#include "base/clock.h"
#include "base/rng.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

namespace rproxy::balancing {

/// What the workers know of one backend's load, shared by all of them: relaxed atomics, no lock.
/// Owned by the backend's shared state (pkg/backends); outlives every Policy that refers to it.
struct Load {
    std::atomic<std::uint32_t> in_flight{0};  ///< Requests assigned and not finished.
    std::atomic<std::uint64_t> ewma_ns{0};    ///< peak_ewma's estimate; 0: nothing seen yet.
    std::atomic<std::int64_t> ewma_at_ns{0};  ///< Monotonic time of that estimate.
};

/// One configured backend of a pool, at a fixed index ("slot") for as long as the configuration is.
struct Member {
    std::uint64_t id_hash{0};  ///< Of its address: the same in every replica and after a reload.
    std::uint32_t weight{1};   ///< After slow start; 0 is never picked.
    bool eligible{true};       ///< Up, not ejected, not draining, not disabled.
    Load* load{nullptr};       ///< Never null.
};

/// Slots that this request must not get: tried before, or full. Small and on the stack.
class Excluded {
public:
    static constexpr std::size_t kCapacity = 32;
    /// False if there is no room: the caller stops trying.
    bool add(std::uint32_t slot) {
        if (size_ == kCapacity) {
            return false;
        }
        slots_[size_++] = slot;
        return true;
    }
    bool contains(std::uint32_t slot) const {
        for (std::size_t i = 0; i < size_; ++i) {
            if (slots_[i] == slot) {
                return true;
            }
        }
        return false;
    }
    std::span<const std::uint32_t> slots() const { return {slots_.data(), size_}; }
    bool empty() const { return size_ == 0; }
    std::size_t size() const { return size_; }
    void clear() { size_ = 0; }
    /// Forgets all but the first `size`.
    void truncate(std::size_t size) { size_ = std::min(size_, size); }

private:
    std::array<std::uint32_t, kCapacity> slots_{};
    std::size_t size_{0};
};

/// The facts of one choice.
struct Pick {
    std::uint64_t hash;  ///< Of the client address or of what `hash_on` names.
    MonotonicTime now;
    Rng& rng;  ///< The calling worker's.
    const Excluded& excluded;
};

/// The position that round robin (and every tie) goes on from. One per pool, shared by all workers,
/// kept over reloads and rebuilt policies, so that the turn goes round exactly.
using Cursor = std::atomic<std::uint64_t>;

/// One method over one set of members: immutable, used by all workers at once. When eligibility,
/// weights or membership change, the control thread builds a new one and the workers switch to it;
/// whatever is slow (tables) happens in make_policy, off the request path.
class Policy {
public:
    virtual ~Policy() = default;
    /// The slot of an eligible, not excluded member with weight above 0; nothing if there is none.
    /// Allocates nothing and takes no lock. Any thread.
    virtual std::optional<std::uint32_t> pick(const Pick& pick) const = 0;
    /// Tells of an in-flight count that changed, for methods that keep an order; called by the
    /// worker after it changed `Load::in_flight`. Any thread.
    virtual void load_changed(std::uint32_t slot) const { static_cast<void>(slot); }
    /// How the members stand and what pick() would return now, without any effect. Allocates; not
    /// for the request path. Any thread.
    virtual Explanation explain(const Question& question) const = 0;
    /// Members that pick() chooses from: eligible with weight above 0.
    virtual std::size_t eligible() const = 0;
    /// Whether `slot` is one of them; false for a slot that does not exist.
    virtual bool offers(std::uint32_t slot) const = 0;
    /// Whether pick() would find somebody with these excluded. Unlike a pick it takes no turn.
    virtual bool has_other_than(const Excluded& excluded) const = 0;
};

/// Builds the policy of `method`. `cursor` and every `Member::load` must outlive it; `members` is
/// copied as needed. Never null; with no eligible member it picks nothing.
std::unique_ptr<const Policy> make_policy(Method method, std::span<const Member> members,
                                          Cursor& cursor);

/// `slot` for as long as `fallback` offers it and it is not excluded, else what `fallback` picks:
/// one choice for everybody, as selection by interval makes it. Wrap each rebuilt policy again.
std::unique_ptr<const Policy> make_pinned(std::uint32_t slot,
                                          std::unique_ptr<const Policy> fallback);

/// What `first` picks, and what `reserve` picks once `first` has nobody left for a request.
/// eligible() and offers() are those of `first`: nobody is bound to a slot of the reserve.
std::unique_ptr<const Policy> make_with_reserve(std::unique_ptr<const Policy> first,
                                                std::unique_ptr<const Policy> reserve);

/// Feeds one observed response time into the estimate that peak_ewma uses: jumps up at once, decays
/// with time (Finagle's "peak EWMA"). Relaxed; races lose a sample at worst. Any thread.
void observe_latency(Load& load, std::chrono::nanoseconds response_time, MonotonicTime now);

/// The same for an attempt that got no answer: the time it took says only that an answer would have
/// taken longer. It raises the estimate and never lowers it, so that who fails fast does not look
/// fast.
void observe_failure(Load& load, std::chrono::nanoseconds waited, MonotonicTime now);

}  // namespace rproxy::balancing
