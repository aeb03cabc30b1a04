#include "report.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <iostream>

namespace rproxy::simulation {

void Table::print() const {
    std::vector<std::size_t> widths(rows_.front().size(), 3);
    for (const auto& row : rows_) {
        for (std::size_t column = 0; column < row.size(); ++column) {
            widths[column] = std::max(widths[column], row[column].size());
        }
    }
    const auto print_row = [&widths](const std::vector<std::string>& row) {
        for (std::size_t column = 0; column < row.size(); ++column) {
            std::cout << "| " << row[column]
                      << std::string(widths[column] - row[column].size() + 1, ' ');
        }
        std::cout << "|\n";
    };
    print_row(rows_.front());
    for (const std::size_t width : widths) {
        std::cout << '|' << std::string(width + 2, '-');
    }
    std::cout << "|\n";
    std::ranges::for_each(rows_.begin() + 1, rows_.end(), print_row);
    std::cout << '\n' << std::flush;
}

void print_heading(std::string_view text) {
    std::cout << "### " << text << "\n\n";
}

std::string fixed(double value, int digits) {
    std::array<char, 64> text{};
    const int length = std::snprintf(text.data(), text.size(), "%.*f", digits, value);
    return {text.data(), static_cast<std::size_t>(length)};
}

std::string milliseconds(double seconds) {
    return fixed(seconds * 1000, 0);
}

std::string percent_of(double part, double whole, int digits) {
    return fixed(100 * part / whole, digits) + " %";
}

std::string bar(double value, double largest, std::size_t width) {
    const double share = largest > 0 ? std::min(1.0, value / largest) : 0;
    return std::string(static_cast<std::size_t>(std::lround(share * static_cast<double>(width))),
                       '#');
}

}  // namespace rproxy::simulation
