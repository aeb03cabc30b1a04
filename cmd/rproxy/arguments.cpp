#include "cmd/rproxy/arguments.h"

#include "base/strings.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>

namespace rproxy::cmd {

std::expected<Arguments, std::string> Arguments::parse(std::span<const std::string_view> words,
                                                       std::span<const std::string> flags,
                                                       std::size_t positional) {
    Arguments arguments;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::string_view word = words[i];
        if (!word.starts_with("--") || word.size() == 2) {
            arguments.positional_.emplace_back(word);
            continue;
        }
        const auto equals = word.find('=');
        const std::string flag(word.substr(0, equals));
        if (std::ranges::find(flags, flag) == flags.end()) {
            const auto nearest = nearest_word(flag, flags);
            return std::unexpected{"unknown flag " + flag +
                                   (nearest ? ", did you mean " + *nearest + "?" : "")};
        }
        if (equals != std::string_view::npos) {
            arguments.values_[flag].emplace_back(word.substr(equals + 1));
        } else if (i + 1 < words.size()) {
            arguments.values_[flag].emplace_back(words[++i]);
        } else {
            return std::unexpected{flag + " needs a value"};
        }
    }
    if (arguments.positional_.size() != positional) {
        return std::unexpected{"expected " + std::to_string(positional) + " argument(s), got " +
                               std::to_string(arguments.positional_.size())};
    }
    return arguments;
}

std::optional<std::string> Arguments::given(const std::string& flag) const {
    const auto found = values_.find(flag);
    return found == values_.end() ? std::nullopt : std::optional(found->second.back());
}

std::vector<std::string> Arguments::all(const std::string& flag) const {
    const auto found = values_.find(flag);
    return found == values_.end() ? std::vector<std::string>{} : found->second;
}

std::optional<std::string> Arguments::get(const std::string& flag) const {
    if (auto value = given(flag)) {
        return value;
    }
    std::string name = "RPROXY_";
    for (const char c : flag.substr(2)) {
        name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    }
    // Read at start-up, before any thread that could change the environment exists.
    const char* const value = std::getenv(name.c_str());  // NOLINT(concurrency-mt-unsafe)
    return value == nullptr || *value == '\0' ? std::nullopt : std::optional<std::string>(value);
}

}  // namespace rproxy::cmd
