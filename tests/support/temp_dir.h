#pragma once

#include <string>
#include <string_view>

namespace rproxy::test {

/// A fresh directory that goes with the object.
class TempDir {
public:
    TempDir();
    ~TempDir();
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    TempDir(TempDir&&) = delete;
    TempDir& operator=(TempDir&&) = delete;

    const std::string& path() const { return path_; }
    std::string operator/(std::string_view name) const;
    /// Writes in place (the file keeps its inode); returns its path.
    std::string write(std::string_view name, std::string_view text) const;

private:
    std::string path_;
};

/// Truncates or creates and writes.
void write_file(const std::string& path, std::string_view text);
/// Writes beside it and renames over it, as careful editors do.
void replace_file(const std::string& path, std::string_view text);
std::string read_file(const std::string& path);

}  // namespace rproxy::test
