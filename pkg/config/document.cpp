#include "config/document.h"

#include "config/tree_builder.h"

#include <yaml-cpp/yaml.h>

#include <array>
#include <optional>
#include <sstream>
#include <string>
#include <utility>

namespace rproxy::config {

namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

Position position_of(std::string_view text, std::size_t offset) {
    Position at{1, 1};
    for (const char c : text.substr(0, offset)) {
        ++at.column;
        if (c == '\n') {
            ++at.line;
            at.column = 1;
        }
    }
    return at;
}

/// The length of the UTF-8 character at `at`, 0 if there is none (RFC 3629 section 4).
std::size_t utf8_length(std::string_view text, std::size_t at) {
    const auto byte = [&](std::size_t i) {
        return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
    };
    const unsigned first = byte(at);
    if (first < 0x80) {
        return 1;
    }
    const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4) {
        return 0;
    }
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(at + i) & 0xc0U) != 0x80) {
            return 0;
        }
    }
    const unsigned second = byte(at + 1);
    const bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
    const bool surrogate = first == 0xed && second > 0x9f;
    const bool beyond = first == 0xf4 && second > 0x8f;
    return overlong || surrogate || beyond ? 0 : length;
}

std::optional<Issue> check_bytes(std::string_view text) {
    if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff")) {
        return Issue{1, 1, {}, "the file is UTF-16", "save it as UTF-8"};
    }
    for (std::size_t i = 0; i < text.size();) {
        const std::size_t length = utf8_length(text, i);
        const char c = text[i];
        const bool control =
            static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\r' && c != '\t';
        if (length == 0 || control) {
            const Position at = position_of(text, i);
            return Issue{at.line,
                         at.column,
                         {},
                         length == 0 ? "not UTF-8" : "a control character",
                         length == 0 ? "save the file as UTF-8" : "remove it"};
        }
        i += length;
    }
    return std::nullopt;
}

/// Without its end; what the parser counts, so a byte order mark is none of it.
std::string_view line_of(std::string_view text, std::uint32_t line) {
    std::size_t start = text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
    for (std::uint32_t i = 1; i < line; ++i) {
        start = text.find('\n', start);
        if (start == std::string_view::npos) {
            return {};
        }
        ++start;
    }
    return text.substr(start, text.find('\n', start) - start);
}

/// The parser's words for the common mistakes, in ours, with what to do.
struct Explanation {
    std::string_view parser_says;
    std::string_view message;
    std::string_view hint;
};
constexpr std::array<Explanation, 9> kExplanations{
    {{"illegal map value", "a ':' where no key can be",
      "indent the keys of a map equally, and quote a value that contains ': '"},
     {"end of map not found", "expected a key of this map or its end",
      "indent the keys of a map equally"},
     {"end of sequence not found", "expected the next '- ' item or the end of the list",
      R"(indent the items equally, and quote an address in brackets: "[::1]:8080")"},
     {"end of sequence flow not found", "a '[' is not closed", "add the missing ']' or ','"},
     {"end of map flow not found", "a '{' is not closed", "add the missing '}' or ','"},
     {"illegal EOF in scalar", "a quote is not closed", "add the missing quote"},
     {"the referenced anchor is not defined", "an alias without an anchor",
      "define it before its use with &name, or quote a value that begins with '*'"},
     {"unknown token", "a character that begins no YAML value",
      "quote a value that begins with '@', '`' or '%'"},
     {"bad file", "nested too deeply", "no valid configuration needs more than ten levels"}}};

Issue explain(const YAML::Exception& error, std::string_view text) {
    Issue issue;
    if (!error.mark.is_null()) {
        issue.line = static_cast<std::uint32_t>(error.mark.line) + 1;
        issue.column = static_cast<std::uint32_t>(error.mark.column) + 1;
    }
    const auto line = line_of(text, issue.line);
    const auto content = line.find_first_not_of(" \t");
    const auto tab = line.substr(0, content).find('\t');
    if (content != std::string_view::npos && tab != std::string_view::npos) {
        issue.column = static_cast<std::uint32_t>(tab) + 1;
        issue.message = "a tab in the indentation";
        issue.hint = "indent with spaces";
        return issue;
    }
    issue.message = "not valid YAML: " + error.msg;
    for (const auto& known : kExplanations) {
        if (error.msg == known.parser_says) {
            issue.message = known.message;
            issue.hint = known.hint;
        }
    }
    return issue;
}

/// Whether the scalar that begins there ends before the file does, if it is in quotes. The parser
/// takes the end of the file for the missing quote, and a file that was cut short must not pass.
bool quote_is_closed(std::string_view text, Position start) {
    const auto line = line_of(text, start.line);
    if (start.line == 0 || start.column > line.size()) {
        return true;
    }
    auto at = static_cast<std::size_t>(line.data() - text.data()) + start.column - 1;
    const char quote = text[at];
    if (quote != '"' && quote != '\'') {
        return true;
    }
    for (++at; at < text.size(); ++at) {
        if (quote == '"' && text[at] == '\\') {
            ++at;
        } else if (text[at] == quote) {
            if (quote == '"' || !text.substr(at + 1).starts_with(quote)) {
                return true;
            }
            ++at;  // a quote in the text is doubled
        }
    }
    return false;
}

Node read_only_document(std::string_view text, std::vector<Issue>& issues) {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    TreeBuilder builder(issues);
    if (!parser.HandleNextDocument(builder)) {
        return {};
    }
    const Position last = builder.last_scalar();
    if (!quote_is_closed(text, last)) {
        issues.push_back(
            Issue{last.line, last.column, {}, "a quote is not closed", "add the missing quote"});
    }
    Node root = builder.take_root();
    std::vector<Issue> ignored;
    TreeBuilder next(ignored);
    if (parser.HandleNextDocument(next)) {
        const Position at = next.take_root().at;
        issues.push_back(Issue{at.line,
                               at.column,
                               {},
                               "a second YAML document begins here",
                               "one file is one document: remove the '---'"});
    }
    return root;
}

}  // namespace

Issue empty_file_issue() {
    return Issue{
        1, 1, {}, "the file is empty", "the shortest valid file is: backends: [10.0.0.1:8080]"};
}

Node parse_document(std::string_view text, std::vector<Issue>& issues) {
    if (text.size() > kLongestText) {
        issues.push_back(Issue{0,
                               0,
                               {},
                               "the file has " + std::to_string(text.size()) + " bytes",
                               "at most " + std::to_string(kLongestText) + " are read"});
        return {};
    }
    if (auto issue = check_bytes(text)) {
        issues.push_back(*std::move(issue));
        return {};
    }
    try {
        return read_only_document(text, issues);
    } catch (const YAML::Exception& error) {
        issues.push_back(explain(error, text));
    } catch (const TooManyNodes& error) {
        issues.push_back(Issue{
            error.at.line,
            error.at.column,
            {},
            "more than " + std::to_string(kMostNodes) + " values, aliases and merge keys expanded",
            "write fewer, or use fewer aliases of aliases"});
    }
    return {};
}

}  // namespace rproxy::config
