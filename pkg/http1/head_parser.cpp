#include "http1/head_parser.h"

#include "http/syntax.h"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>

#include <cstring>

namespace rproxy::http1 {

namespace {

namespace beast = boost::beast;

std::string_view view(beast::string_view text) {
    return {text.data(), text.size()};
}

/// The part of Beast's parser interface that requests and responses share. The parser is given
/// whole heads only and never a body, so the body callbacks cannot be reached.
template <bool kIsRequest, typename Head>
class Sink final : public beast::http::basic_parser<kIsRequest> {
public:
    Sink(std::string_view bytes, const HeadLimits& limits, Head& head)
        : bytes_(bytes), limits_(limits), head_(head) {
        head_.clear();
        // Sizes were checked by find_head_end; Beast's own limits must not come first.
        this->header_limit(0xffffffffU);
        this->body_limit(boost::none);
        this->eager(false);
    }

    std::expected<void, HeadError> parse() {
        beast::error_code error;
        const std::size_t used =
            this->put(boost::asio::const_buffer(bytes_.data(), bytes_.size()), error);
        if (error_) {
            return std::unexpected{*error_};
        }
        if (error == beast::http::error::bad_version) {
            return std::unexpected{HeadError::BadVersion};
        }
        const bool framing_error = error == beast::http::error::bad_content_length ||
                                   error == beast::http::error::bad_transfer_encoding ||
                                   error == beast::http::error::multiple_content_length;
        if (framing_error) {
            return std::unexpected{HeadError::BadFraming};
        }
        if (error || used != bytes_.size() || !this->is_header_done()) {
            return std::unexpected{HeadError::BadSyntax};
        }
        return {};
    }

private:
    void refuse(HeadError error, beast::error_code& code) {
        error_ = error;
        code = beast::http::error::bad_field;
    }

    bool set_version(int version) {
        head_.version = version == 10 ? http::Version::Http10 : http::Version::Http11;
        return version == 10 || version == 11;
    }

    void on_request_impl(beast::http::verb /*verb*/, beast::string_view method,
                         beast::string_view target, int version, beast::error_code& code) override {
        if constexpr (kIsRequest) {
            head_.method_text = view(method);
            head_.method = http::parse_method(head_.method_text);
            head_.target = view(target);
        }
        if (!set_version(version)) {
            refuse(HeadError::BadVersion, code);
        }
    }

    void on_response_impl(int status, beast::string_view reason, int version,
                          beast::error_code& code) override {
        if constexpr (!kIsRequest) {
            head_.status = static_cast<std::uint16_t>(status);
            head_.reason = view(reason);
        }
        if (!set_version(version)) {
            refuse(HeadError::BadVersion, code);
        } else if (status < 100 || status > 599) {
            refuse(HeadError::BadSyntax, code);
        }
    }

    void on_field_impl(beast::http::field /*known*/, beast::string_view name,
                       beast::string_view value, beast::error_code& code) override {
        // Beast unfolds obs-fold into memory of its own; the value then lies outside the head.
        const bool folded = !value.empty() && (value.data() < bytes_.data() ||
                                               value.data() >= bytes_.data() + bytes_.size());
        if (folded || name.empty()) {
            refuse(HeadError::BadSyntax, code);
            return;
        }
        if (head_.fields.size() >= limits_.header_count) {
            refuse(HeadError::TooManyFields, code);
            return;
        }
        const auto name_view = view(name);
        head_.fields.push_back({name_view, view(value), http::classify(name_view)});
    }

    void on_header_impl(beast::error_code& /*code*/) override {}
    void on_body_init_impl(const boost::optional<std::uint64_t>& /*length*/,
                           beast::error_code& /*code*/) override {}
    std::size_t on_body_impl(beast::string_view body, beast::error_code& /*code*/) override {
        return body.size();
    }
    void on_chunk_header_impl(std::uint64_t /*size*/, beast::string_view /*extensions*/,
                              beast::error_code& /*code*/) override {}
    std::size_t on_chunk_body_impl(std::uint64_t /*remain*/, beast::string_view body,
                                   beast::error_code& /*code*/) override {
        return body.size();
    }
    void on_finish_impl(beast::error_code& /*code*/) override {}

    std::string_view bytes_;
    const HeadLimits& limits_;
    Head& head_;
    std::optional<HeadError> error_;
};

/// An obs-fold whose value is empty up to the fold shows no value outside the head, so the line
/// starts are looked at as well (RFC 9112 §5.2: refuse or replace; a strict proxy refuses).
bool has_folded_line(std::string_view bytes) {
    const char* at = bytes.data();
    const char* const last = bytes.data() + bytes.size();
    while ((at = static_cast<const char*>(
                std::memchr(at, '\n', static_cast<std::size_t>(last - at)))) != nullptr) {
        ++at;
        if (at != last && (*at == ' ' || *at == '\t')) {
            return true;
        }
    }
    return false;
}

}  // namespace

std::size_t leading_empty_lines(std::string_view bytes) {
    std::size_t at = 0;
    while (bytes.size() >= at + 2 && bytes[at] == '\r' && bytes[at + 1] == '\n') {
        at += 2;
    }
    return at;
}

std::expected<std::optional<std::size_t>, HeadError> find_head_end(std::string_view bytes,
                                                                   const HeadLimits& limits,
                                                                   HeadScan& scan) {
    while (scan.next < bytes.size()) {
        const void* const found =
            std::memchr(bytes.data() + scan.next, '\n', bytes.size() - scan.next);
        if (found == nullptr) {
            scan.next = bytes.size();
            break;
        }
        const auto at = static_cast<std::size_t>(static_cast<const char*>(found) - bytes.data());
        // Sizes first: what is refused for its length while it arrives is refused for that when it
        // is here at once, too.
        const bool first_line = scan.line_start == 0;
        if (first_line && at > limits.request_line) {
            return std::unexpected{HeadError::LineTooLong};
        }
        if (at + 1 > limits.header_bytes) {
            return std::unexpected{HeadError::TooLarge};
        }
        if (at == scan.line_start || bytes[at - 1] != '\r') {
            return std::unexpected{HeadError::BadSyntax};
        }
        if (at == scan.line_start + 1) {
            return at + 1;
        }
        scan.next = at + 1;
        scan.line_start = at + 1;
    }
    if (scan.line_start == 0 && bytes.size() > limits.request_line) {
        return std::unexpected{HeadError::LineTooLong};
    }
    if (bytes.size() >= limits.header_bytes) {
        return std::unexpected{HeadError::TooLarge};
    }
    return std::nullopt;
}

std::expected<void, HeadError> parse_request_head(std::string_view bytes, const HeadLimits& limits,
                                                  http::RequestHead& head) {
    Sink<true, http::RequestHead> sink(bytes, limits, head);
    auto parsed = sink.parse();
    if (parsed && (has_folded_line(bytes) || !http::is_token(head.method_text))) {
        return std::unexpected{HeadError::BadSyntax};
    }
    return parsed;
}

std::expected<void, HeadError> parse_response_head(std::string_view bytes, const HeadLimits& limits,
                                                   http::ResponseHead& head) {
    Sink<false, http::ResponseHead> sink(bytes, limits, head);
    auto parsed = sink.parse();
    if (parsed && has_folded_line(bytes)) {
        return std::unexpected{HeadError::BadSyntax};
    }
    return parsed;
}

}  // namespace rproxy::http1
