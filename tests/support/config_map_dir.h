#pragma once

#include <map>
#include <string>

namespace rproxy::test {

/// A ConfigMap volume as kubelet's atomic writer keeps it: `FILE -> ..data/FILE`, `..data ->
/// ..TIME`, and each update a new time-stamped directory, a rename of the `..data` link, and the
/// old directory removed. Throws on failure.
class ConfigMapDir {
public:
    using Files = std::map<std::string, std::string>;  ///< Name → text.

    ConfigMapDir(std::string path, const Files& files);
    /// What kubelet does when the ConfigMap changed.
    void swap(const Files& files);
    const std::string& path() const { return path_; }
    std::string file(const std::string& name) const { return path_ + "/" + name; }

private:
    std::string path_;
    int swaps_{0};
};

}  // namespace rproxy::test
