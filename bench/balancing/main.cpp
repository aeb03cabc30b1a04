// Simulates every balancing method over model backends and repeats published results.
// Prints Markdown; docs/balancing.md discusses what comes out.

#include "references.h"
#include "scenarios.h"

#include <charconv>
#include <cstdint>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr std::string_view kUsage =
    "usage: balancing_sim [--seed N] [references | 10 | 100 | 1000]\n"
    "Without a part: everything, in about a minute.\n";

bool parse_number(std::string_view text, std::uint64_t& number) {
    const auto [end, error] = std::from_chars(text.begin(), text.end(), number);
    return error == std::errc{} && end == text.end();
}

void print_references(std::uint64_t seed) {
    rproxy::simulation::reproduce_linkerd(seed);
    rproxy::simulation::reproduce_supermarket(seed);
    rproxy::simulation::reproduce_balls_into_bins(seed);
    rproxy::simulation::reproduce_maglev();
    rproxy::simulation::compare_hashing();
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string_view> arguments(argv + 1, argv + argc);
    std::uint64_t seed = 1;
    std::string_view part;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        if (arguments[i] == "--seed" && i + 1 < arguments.size() &&
            parse_number(arguments[i + 1], seed)) {
            ++i;
        } else if (arguments[i] == "references" || arguments[i] == "10" || arguments[i] == "100" ||
                   arguments[i] == "1000") {
            part = arguments[i];
        } else {
            std::cerr << kUsage;
            return 2;
        }
    }
    if (part.empty() || part == "references") {
        print_references(seed);
    }
    for (const std::size_t backends : {10U, 100U, 1000U}) {
        if (part.empty() || part == std::to_string(backends)) {
            rproxy::simulation::run_scenarios(backends, seed);
        }
    }
    return 0;
}
