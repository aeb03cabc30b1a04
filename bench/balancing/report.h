#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace rproxy::simulation {

/// A Markdown table, padded so that it also reads well in a terminal.
class Table {
public:
    explicit Table(std::vector<std::string> head) : rows_{std::move(head)} {}
    void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
    void print() const;

private:
    std::vector<std::vector<std::string>> rows_;
};

void print_heading(std::string_view text);
std::string fixed(double value, int digits);
std::string milliseconds(double seconds);
std::string percent_of(double part, double whole, int digits);
/// A bar of a text chart, `width` characters at `largest`.
std::string bar(double value, double largest, std::size_t width = 30);

}  // namespace rproxy::simulation
