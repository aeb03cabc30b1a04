#include "admin/admin_routes.h"
#include "admin/console_assets.h"
#include "admin/content_encoding.h"

namespace rproxy::admin {

void AdminServer::Server::add_console() {
    for (const auto& asset : console_assets()) {
        const auto serve = [asset](const httplib::Request& request, httplib::Response& response) {
            response.set_header("ETag", std::string(asset.etag));
            response.set_header("Vary", "Accept-Encoding");
            response.set_header("Cache-Control", "no-cache");
            if (request.get_header_value("If-None-Match") == asset.etag) {
                response.status = 304;
                return;
            }
            const bool gzip =
                accepts_gzip(request.get_header_value("Accept-Encoding")) && !asset.gzip.empty();
            if (gzip) {
                response.set_header("Content-Encoding", "gzip");
            }
            const auto bytes = gzip ? asset.gzip : asset.bytes;
            // Not set_content(): the library would compress that, gzip or not, once more.
            response.set_content_provider(
                bytes.size(), std::string(asset.content_type),
                [bytes](std::size_t offset, std::size_t length, httplib::DataSink& sink) {
                    return sink.write(bytes.data() + offset, length);
                });
        };
        http.Get(std::string(asset.path), serve);
        if (asset.path == "/index.html") {
            http.Get("/", serve);
        }
    }
}

}  // namespace rproxy::admin
