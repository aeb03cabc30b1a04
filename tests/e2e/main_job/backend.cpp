// A real backend for end-to-end tests: answers every path with its own name.
// Usage: e2e_backend PORT NAME
#include <httplib.h>

#include <cstdio>
#include <string>

int main(int argc, char** argv) {
    if (argc != 3) {
        std::fputs("usage: e2e_backend PORT NAME\n", stderr);
        return 2;
    }
    const std::string name = argv[2];
    httplib::Server server;
    // Each keep-alive connection holds a thread.
    constexpr std::size_t kThreads = 64;
    server.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
    server.set_keep_alive_max_count(100'000'000);
    server.set_keep_alive_timeout(60);
    const auto answer = [&name](const httplib::Request& request, httplib::Response& response) {
        response.set_content(name + " " + std::to_string(request.body.size()) + "\n", "text/plain");
    };
    server.Get("/.*", answer);
    server.Put("/.*", answer);
    return server.listen("127.0.0.1", std::stoi(argv[1])) ? 0 : 1;
}
