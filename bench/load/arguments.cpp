#include "arguments.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <limits>

namespace rproxy::bench {

Arguments::Arguments(int argc, char** argv, const std::vector<std::string_view>& known) {
    const std::vector<std::string_view> words(argv + 1, argv + argc);
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (!words[i].starts_with("--") || std::ranges::count(known, words[i].substr(2)) == 0) {
            fail("unknown argument " + std::string(words[i]));
        }
        const auto name = words[i].substr(2);
        const bool is_switch = i + 1 == words.size() || words[i + 1].starts_with("--");
        values_[std::string(name)] = is_switch ? "" : words[++i];
    }
}

bool Arguments::has(std::string_view name) const {
    return values_.contains(name);
}

std::string Arguments::text(std::string_view name, std::string_view otherwise) const {
    const auto found = values_.find(name);
    return found == values_.end() ? std::string(otherwise) : found->second;
}

std::uint64_t Arguments::number(std::string_view name, std::uint64_t otherwise) const {
    const auto found = values_.find(name);
    return found == values_.end() ? otherwise : parse_number(found->second);
}

double Arguments::real(std::string_view name, double otherwise) const {
    const auto found = values_.find(name);
    if (found == values_.end()) {
        return otherwise;
    }
    double value = 0;
    const auto& text = found->second;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) {
        fail("not a number: " + text);
    }
    return value;
}

std::vector<std::uint16_t> Arguments::ports(std::string_view name) const {
    std::vector<std::uint16_t> ports;
    const auto list = text(name, "");
    for (const auto word : split_commas(list)) {
        const auto port = parse_number(word);
        if (port == 0 || port > std::numeric_limits<std::uint16_t>::max()) {
            fail("not a port: " + std::string(word));
        }
        ports.push_back(static_cast<std::uint16_t>(port));
    }
    if (ports.empty()) {
        fail("missing --" + std::string(name));
    }
    return ports;
}

std::vector<std::string_view> split_commas(std::string_view text) {
    std::vector<std::string_view> parts;
    while (!text.empty()) {
        const auto comma = std::min(text.find(','), text.size());
        parts.push_back(text.substr(0, comma));
        text.remove_prefix(std::min(comma + 1, text.size()));
    }
    return parts;
}

std::uint64_t parse_number(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) {
        fail("not a number: " + std::string(text));
    }
    return value;
}

void fail(std::string_view message) {
    std::fprintf(stderr, "%.*s\n", static_cast<int>(message.size()), message.data());
    std::_Exit(2);
}

}  // namespace rproxy::bench
