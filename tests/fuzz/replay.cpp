#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size);

/// Runs a fuzz target over every file of a corpus, where there is no libFuzzer. A finding ends the
/// program as it ends a fuzzer; the name of its file is the last line printed.
int main(int argc, char** argv) {
    try {
        if (argc != 2) {
            std::cerr << "usage: replay CORPUS\n";
            return 2;
        }
        std::vector<std::filesystem::path> files;
        for (const auto& entry : std::filesystem::directory_iterator(argv[1])) {
            files.push_back(entry.path());
        }
        std::ranges::sort(files);
        for (const auto& path : files) {
            std::cout << path.string() << std::endl;
            std::ifstream file(path, std::ios::binary);
            const std::vector<std::uint8_t> bytes(std::istreambuf_iterator<char>(file), {});
            LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
        }
        // An empty corpus would make a test that cannot fail.
        return files.empty() ? 1 : 0;
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}
