#include "config/issue.h"

namespace rproxy::config {

std::string format(const Issue& issue, std::string_view file) {
    std::string line(file);
    if (issue.line != 0) {
        line += ":" + std::to_string(issue.line);
        if (issue.column != 0) {
            line += ":" + std::to_string(issue.column);
        }
    }
    line += ": ";
    if (!issue.path.empty()) {
        line += issue.path + ": ";
    }
    line += issue.message;
    if (!issue.hint.empty()) {
        line += ", " + issue.hint;
    }
    return line;
}

}  // namespace rproxy::config
