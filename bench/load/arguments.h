#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace rproxy::bench {

/// The `--name value` pairs of a command line; a name without a value is a switch.
/// Every failure to understand them ends the program with a message: nobody but run.sh calls it.
class Arguments {
public:
    /// `known` holds every name that may be given, without the dashes.
    Arguments(int argc, char** argv, const std::vector<std::string_view>& known);

    bool has(std::string_view name) const;
    std::string text(std::string_view name, std::string_view otherwise) const;
    std::uint64_t number(std::string_view name, std::uint64_t otherwise) const;
    double real(std::string_view name, double otherwise) const;
    /// A comma separated list of ports; ends the program when it is missing or empty.
    std::vector<std::uint16_t> ports(std::string_view name) const;

private:
    std::map<std::string, std::string, std::less<>> values_;
};

/// The parts of `text` between commas; none for an empty text.
std::vector<std::string_view> split_commas(std::string_view text);

/// The number that `text` is, all of it; ends the program when it is not one.
std::uint64_t parse_number(std::string_view text);

/// Prints `message` to stderr and ends the program with status 2.
[[noreturn]] void fail(std::string_view message);

}  // namespace rproxy::bench
