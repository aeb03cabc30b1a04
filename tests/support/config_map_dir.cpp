#include "support/config_map_dir.h"

#include "support/temp_dir.h"

#include <filesystem>
#include <utility>

namespace rproxy::test {

namespace fs = std::filesystem;

ConfigMapDir::ConfigMapDir(std::string path, const Files& files) : path_(std::move(path)) {
    fs::create_directories(path_);
    swap(files);
}

// The order of k8s.io/kubernetes/pkg/volume/util/atomic_writer.go: write, link, swap, show, clean
// up.
void ConfigMapDir::swap(const Files& files) {
    const fs::path root = path_;
    const std::string stamp = "..2026_11_23_15_26_00." + std::to_string(1'000'000 + ++swaps_);
    fs::create_directory(root / stamp);
    for (const auto& [name, text] : files) {
        write_file((root / stamp / name).string(), text);
    }
    std::error_code none_yet;
    const auto old = fs::read_symlink(root / "..data", none_yet);
    fs::create_directory_symlink(stamp, root / "..data_tmp");
    fs::rename(root / "..data_tmp", root / "..data");
    for (const auto& [name, text] : files) {
        if (!fs::is_symlink(fs::symlink_status(root / name))) {
            fs::create_symlink(fs::path("..data") / name, root / name);
        }
    }
    for (const auto& entry : fs::directory_iterator(root)) {
        const auto name = entry.path().filename().string();
        if (!name.starts_with("..") && !files.contains(name)) {
            fs::remove(entry.path());
        }
    }
    if (!none_yet) {
        fs::remove_all(root / old);
    }
}

}  // namespace rproxy::test
