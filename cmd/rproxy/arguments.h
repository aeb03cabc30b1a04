#pragma once

#include <expected>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rproxy::cmd {

/// A command line after its command: flags with a value (`--flag value`, `--flag=value`), and the
/// rest.
class Arguments {
public:
    /// An error is a sentence for the person who typed it: an unknown flag (with the nearest one),
    /// a missing value, the wrong number of files.
    static std::expected<Arguments, std::string> parse(std::span<const std::string_view> words,
                                                       std::span<const std::string> flags,
                                                       std::size_t positional);

    /// The flag's value, if it was given; the last one counts.
    std::optional<std::string> given(const std::string& flag) const;
    /// The flag's value, else that of its environment variable (`--log-level`: RPROXY_LOG_LEVEL).
    std::optional<std::string> get(const std::string& flag) const;
    /// Every value of a flag that may come more than once, in the order given.
    std::vector<std::string> all(const std::string& flag) const;
    const std::vector<std::string>& positional() const { return positional_; }

private:
    std::map<std::string, std::vector<std::string>> values_;
    std::vector<std::string> positional_;
};

}  // namespace rproxy::cmd
