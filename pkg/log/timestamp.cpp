#include "log/timestamp.h"

#include <chrono>
#include <cstring>

namespace rproxy::log {

namespace {

/// The last `width` decimal digits of `value`.
void put_digits(char* out, std::size_t width, std::int64_t value) {
    for (std::size_t i = width; i-- > 0; value /= 10) {
        out[i] = static_cast<char>('0' + (value % 10));
    }
}

}  // namespace

char* Timestamp::write(char* out, WallTime time) {
    const auto milliseconds =
        std::chrono::floor<std::chrono::milliseconds>(time).time_since_epoch().count();
    std::int64_t second = milliseconds / 1000;
    std::int64_t fraction = milliseconds % 1000;
    if (fraction < 0) {
        fraction += 1000;
        --second;
    }
    if (second != second_) {
        render(second);
    }
    put_digits(text_.data() + 20, 3, fraction);
    std::memcpy(out, text_.data(), kSize);
    return out + kSize;
}

void Timestamp::render(std::int64_t second) {
    using std::chrono::days;
    const std::chrono::sys_seconds time{std::chrono::seconds{second}};
    const auto day = std::chrono::floor<days>(time);
    const std::chrono::year_month_day date{day};
    const std::chrono::hh_mm_ss clock{time - day};
    std::memcpy(text_.data(), "0000-00-00T00:00:00.000Z", kSize);
    put_digits(text_.data(), 4, static_cast<int>(date.year()));
    put_digits(text_.data() + 5, 2, static_cast<unsigned>(date.month()));
    put_digits(text_.data() + 8, 2, static_cast<unsigned>(date.day()));
    put_digits(text_.data() + 11, 2, clock.hours().count());
    put_digits(text_.data() + 14, 2, clock.minutes().count());
    put_digits(text_.data() + 17, 2, clock.seconds().count());
    second_ = second;
}

}  // namespace rproxy::log
