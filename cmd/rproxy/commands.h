#pragma once

#include <span>
#include <string_view>

/// The commands of `rproxy` (product contract §2). Each takes the words after its name and returns
/// the exit status: 0 yes or done, 1 no, 2 wrong usage.
namespace rproxy::cmd {

constexpr int kYes = 0;
constexpr int kNo = 1;
constexpr int kUsage = 2;

using Words = std::span<const std::string_view>;

int serve(Words words);
int demo(Words words);
int check(Words words);
int plan(Words words);
int schema(Words words);
int ready(Words words);
int live(Words words);
int drain(Words words);
int explain(Words words);
int log_level(Words words);
int version(Words words);

/// Prints `rproxy COMMAND: message` and how to get help; returns kUsage.
int usage_error(std::string_view command, std::string_view message);

}  // namespace rproxy::cmd
