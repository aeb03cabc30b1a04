#pragma once

/// Names for clang's thread safety analysis
/// (https://clang.llvm.org/docs/ThreadSafetyAnalysis.html); nothing under GCC. The only macros of
/// the project.
#if defined(__clang__)
#define RPROXY_ATTRIBUTE(x) __attribute__((x))
#else
#define RPROXY_ATTRIBUTE(x)
#endif

#define RPROXY_CAPABILITY(name) RPROXY_ATTRIBUTE(capability(name))
#define RPROXY_SCOPED_CAPABILITY RPROXY_ATTRIBUTE(scoped_lockable)
#define RPROXY_GUARDED_BY(x) RPROXY_ATTRIBUTE(guarded_by(x))
#define RPROXY_REQUIRES(...) RPROXY_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define RPROXY_ACQUIRE(...) RPROXY_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define RPROXY_RELEASE(...) RPROXY_ATTRIBUTE(release_capability(__VA_ARGS__))
#define RPROXY_ASSERT_CAPABILITY(x) RPROXY_ATTRIBUTE(assert_capability(x))

#include <mutex>

namespace rproxy {

/// `std::mutex` that the analysis can follow. Never held while calling out or on a worker's request
/// path.
class RPROXY_CAPABILITY("mutex") Mutex {
public:
    void lock() RPROXY_ACQUIRE() { mutex_.lock(); }
    void unlock() RPROXY_RELEASE() { mutex_.unlock(); }
    /// Spells "must not be held": `RPROXY_REQUIRES(!mutex_)`.
    const Mutex& operator!() const { return *this; }
    /// For `std::condition_variable_any`-free waiting; prefer MutexLock.
    std::mutex& native() { return mutex_; }

private:
    std::mutex mutex_;
};

/// Holds a Mutex for a scope.
class RPROXY_SCOPED_CAPABILITY MutexLock {
public:
    explicit MutexLock(Mutex& mutex) RPROXY_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
    ~MutexLock() RPROXY_RELEASE() { mutex_.unlock(); }
    MutexLock(const MutexLock&) = delete;
    MutexLock& operator=(const MutexLock&) = delete;

private:
    Mutex& mutex_;
};

}  // namespace rproxy
