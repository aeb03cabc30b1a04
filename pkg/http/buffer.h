#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>

namespace rproxy::http {

/// A contiguous byte queue: filled at the end, consumed from the front. Keeps its memory when
/// cleared, so that a reused one allocates nothing. Moves as its owner does; not shared.
class Buffer {
public:
    Buffer() = default;

    std::size_t size() const { return end_ - begin_; }
    bool empty() const { return begin_ == end_; }
    std::size_t capacity() const { return capacity_; }
    char* data() { return memory_.get() + begin_; }
    const char* data() const { return memory_.get() + begin_; }
    std::string_view view() const { return {data(), size()}; }

    /// Room behind the content, without moving anything.
    std::span<char> space() { return {memory_.get() + end_, capacity_ - end_}; }
    /// `n` bytes of space() were filled.
    void commit(std::size_t n) { end_ += n; }
    void consume(std::size_t n) {
        begin_ += n;
        if (begin_ == end_) {
            clear();
        }
    }
    void clear() { begin_ = end_ = 0; }
    /// Drops what stands behind the first `size` bytes.
    void truncate(std::size_t size) { end_ = begin_ + size; }
    /// Moves the content to the front of the memory. Invalidates views into it.
    void compact() {
        if (begin_ != 0) {
            std::memmove(memory_.get(), data(), size());
            end_ -= begin_;
            begin_ = 0;
        }
    }
    /// Capacity for at least `capacity` bytes in all. Invalidates views.
    void reserve(std::size_t capacity) {
        if (capacity <= capacity_) {
            return;
        }
        auto larger = std::make_unique_for_overwrite<char[]>(capacity);
        const std::size_t kept = size();
        if (kept != 0) {
            std::memcpy(larger.get(), data(), kept);
        }
        memory_ = std::move(larger);
        capacity_ = capacity;
        begin_ = 0;
        end_ = kept;
    }
    /// Gives the memory back if it is larger than `capacity`. Drops the content.
    void shrink(std::size_t capacity) {
        clear();
        if (capacity_ > capacity) {
            memory_.reset();
            capacity_ = 0;
        }
    }

    void append(std::string_view text) {
        if (text.empty()) {
            return;  // perhaps into no memory at all, which memcpy must not see
        }
        make_room(text.size());
        std::memcpy(memory_.get() + end_, text.data(), text.size());
        end_ += text.size();
    }
    void append(char c) {
        make_room(1);
        memory_[end_++] = c;
    }
    void append_number(std::uint64_t number, int base = 10) {
        constexpr std::size_t kLongest = 20;
        make_room(kLongest);
        char* const at = memory_.get() + end_;
        end_ += static_cast<std::size_t>(std::to_chars(at, at + kLongest, number, base).ptr - at);
    }

private:
    void make_room(std::size_t n) {
        if (capacity_ - end_ < n) {
            grow(n);
        }
    }
    void grow(std::size_t n) {
        constexpr std::size_t kSmallest = 1024;
        const std::size_t needed = size() + n;
        if (needed <= capacity_) {
            compact();
        } else {
            reserve(std::max({needed, capacity_ * 2, kSmallest}));
        }
    }

    std::unique_ptr<char[]> memory_;
    std::size_t capacity_{0};
    std::size_t begin_{0};
    std::size_t end_{0};
};

}  // namespace rproxy::http
