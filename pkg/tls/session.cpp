#include "tls/session.h"

#include "tls/openssl.h"

#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace rproxy::tls {

using net::IoResult;

namespace {

/// A ClientHello is a few hundred bytes, with post-quantum shares two thousand, and a client's
/// chain of certificates some thousand more: beyond this somebody only wants memory and time.
constexpr std::size_t kLargestHandshake = std::size_t{64} << 10U;

/// What reading makes OpenSSL answer (key updates, refused renegotiations) waits behind what
/// write() was given, which is never more than about Io::kSendAt. A peer that asks on and on and
/// takes nothing wants memory.
constexpr std::size_t kMostUnsent = std::size_t{512} << 10U;

/// Pieces up to this are copied together with their neighbours: cheaper than a record of their own.
constexpr std::size_t kCopyUpTo = 4096;

}  // namespace

const bio_method_st* Session::bio_method() {
    static const Openssl<BIO_METHOD> kMethod = [] {
        Openssl<BIO_METHOD> method(
            BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "rproxy socket"));
        BIO_meth_set_read_ex(method.get(), bio_read);
        BIO_meth_set_write_ex(method.get(), bio_write);
        BIO_meth_set_ctrl(method.get(), bio_control);
        return method;
    }();
    return kMethod.get();
}

Session::Session(Io& io, int fd, ssl_st* ssl, std::shared_ptr<const void> context)
    : io_(io), fd_(fd), ssl_(ssl), context_(std::move(context)) {
    BIO* const bio = BIO_new(bio_method());
    BIO_set_data(bio, this);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl_, bio, bio);
    SSL_set_app_data(ssl_, this);
}

Session::~Session() {
    // Otherwise a session that ends without a word could not be resumed any more.
    SSL_set_shutdown(ssl_, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(ssl_);
}

Session& Session::of(const ssl_st* ssl) {
    return *static_cast<Session*>(SSL_get_app_data(ssl));
}

int Session::bio_read(bio_st* bio, char* out, std::size_t size, std::size_t* got) {
    Session& self = *static_cast<Session*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    *got = 0;
    if (self.drained_) {
        BIO_set_retry_read(bio);
        return 0;
    }
    ssize_t received = 0;
    do {
        received = ::recv(self.fd_, out, size, 0);
    } while (received < 0 && errno == EINTR);
    if (received > 0) {
        *got = static_cast<std::size_t>(received);
        self.emptied_ = *got < size;
        // A handshake is asked to its end: who closes right behind his last bytes is noticed in the
        // same event, and no other one would tell.
        self.drained_ = self.emptied_ && self.established_;
        self.handshake_in_ += self.established_ ? 0 : *got;
        return 1;
    }
    if (received == 0) {
        self.at_end_ = true;
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
        self.drained_ = self.emptied_ = true;
        BIO_set_retry_read(bio);
    } else {
        self.error_ = errno;
        self.dead_ = true;
    }
    return 0;
}

int Session::bio_write(bio_st* bio, const char* bytes, std::size_t size, std::size_t* written) {
    Session& self = *static_cast<Session*>(BIO_get_data(bio));
    auto& records = self.io_.records();
    records.insert(records.end(), bytes, bytes + size);
    *written = size;
    return 1;
}

long Session::bio_control(bio_st* /*bio*/, int command, long /*number*/, void* /*argument*/) {
    return command == BIO_CTRL_FLUSH || command == BIO_CTRL_PUSH || command == BIO_CTRL_POP ? 1 : 0;
}

/// What is left from before. Ok: nothing.
IoResult Session::send_unsent() {
    std::size_t sent = 0;
    while (sent < unsent_.size()) {
        const ssize_t result =
            ::send(fd_, unsent_.data() + sent, unsent_.size() - sent, MSG_NOSIGNAL);
        if (result < 0 && errno == EINTR) {
            continue;
        }
        if (result < 0) {
            const bool full = errno == EAGAIN || errno == EWOULDBLOCK;
            error_ = full ? 0 : errno;
            dead_ = !full;
            unsent_.erase(unsent_.begin(), unsent_.begin() + static_cast<std::ptrdiff_t>(sent));
            return {full ? IoResult::Status::WouldBlock : IoResult::Status::Failed, 0, error_};
        }
        sent += static_cast<std::size_t>(result);
    }
    unsent_ = {};
    return {};
}

/// Sends what this call has encrypted; what the socket does not take becomes unsent_. False: it did
/// not take all.
bool Session::send_records() {
    auto& records = io_.records();
    if (records.empty()) {
        return unsent_.empty();
    }
    if (dead_) {
        records.clear();
        return false;
    }
    std::size_t sent = 0;
    while (unsent_.empty() && sent < records.size()) {
        const ssize_t result =
            ::send(fd_, records.data() + sent, records.size() - sent, MSG_NOSIGNAL);
        if (result < 0 && errno == EINTR) {
            continue;
        }
        if (result < 0) {
            if (errno != EAGAIN && errno != EWOULDBLOCK) {
                error_ = errno;
                dead_ = true;
                sent = records.size();
            }
            break;
        }
        const bool partial = static_cast<std::size_t>(result) < records.size() - sent;
        sent += static_cast<std::size_t>(result);
        if (partial) {
            break;  // the socket is full; asking again would only say so
        }
    }
    unsent_.insert(unsent_.end(), records.begin() + static_cast<std::ptrdiff_t>(sent),
                   records.end());
    records.clear();
    return unsent_.empty() && !dead_;
}

/// What a call of OpenSSL that did not succeed means.
IoResult Session::failed(int result) {
    switch (SSL_get_error(ssl_, result)) {
        case SSL_ERROR_WANT_READ:
        case SSL_ERROR_WANT_WRITE:
            return {IoResult::Status::WouldBlock};
        case SSL_ERROR_ZERO_RETURN:
            return {IoResult::Status::Closed};
        default:
            break;
    }
    const auto reason = ERR_GET_REASON(ERR_peek_last_error());
    const bool cut_off =
        at_end_ && (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING || ERR_peek_last_error() == 0);
    if (cut_off) {
        // Anybody on the way could have sent that FIN (RFC 9112 §9.8): not the end of a body.
        problem_ = "closed without close_notify";
        error_ = ECONNRESET;
    } else if (error_ != 0) {
        problem_ = std::generic_category().message(error_);
    } else {
        plain_http_ = reason == SSL_R_HTTP_REQUEST || reason == SSL_R_HTTPS_PROXY_REQUEST;
        const long verified = SSL_get_verify_result(ssl_);
        problem_ = take_error();
        if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED && verified != X509_V_OK) {
            problem_ += std::string(": ") + X509_verify_cert_error_string(verified);
        }
        error_ = EPROTO;
    }
    ERR_clear_error();
    return {IoResult::Status::Failed, 0, error_};
}

IoResult Session::handshake() {
    if (const auto rest = send_unsent(); rest.status != IoResult::Status::Ok) {
        if (rest.status == IoResult::Status::Failed) {
            problem_ = std::generic_category().message(error_);
        }
        return rest;
    }
    drained_ = false;
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_);
    IoResult outcome;
    if (result == 1) {
        established_ = true;
        outcome.more = !emptied_ || SSL_has_pending(ssl_) == 1;
    } else {
        outcome = failed(result);
        if (outcome.status == IoResult::Status::WouldBlock && handshake_in_ > kLargestHandshake) {
            problem_ = "handshake larger than 64 KiB";
            outcome = {IoResult::Status::Failed, 0, EPROTO};
        }
    }
    send_records();  // an alert, too
    return outcome;
}

IoResult Session::read(std::span<char> into) {
    drained_ = false;
    std::size_t total = 0;
    IoResult end{IoResult::Status::WouldBlock};
    while (total < into.size()) {
        if (total != 0 && drained_ && SSL_has_pending(ssl_) == 0) {
            break;  // OpenSSL would take a while to say the same
        }
        if (ERR_peek_error() != 0) {
            ERR_clear_error();
        }
        std::size_t got = 0;
        if (SSL_read_ex(ssl_, into.data() + total, into.size() - total, &got) != 1) {
            end = failed(0);
            break;
        }
        total += got;
    }
    send_records();
    if (unsent_.size() > kMostUnsent) {
        problem_ = "asks for more than it takes";
        error_ = EPROTO;
        return {IoResult::Status::Failed, 0, error_};
    }
    if (total == 0) {
        return end;
    }
    const bool ended = end.status != IoResult::Status::WouldBlock;
    return {IoResult::Status::Ok, total, 0, ended || !drained_ || SSL_has_pending(ssl_) == 1};
}

/// One record.
bool Session::encrypt(std::span<const char> bytes) {
    if (ERR_peek_error() != 0) {
        ERR_clear_error();
    }
    std::size_t written = 0;
    if (SSL_write_ex(ssl_, bytes.data(), bytes.size(), &written) != 1) {
        static_cast<void>(failed(0));
        return false;
    }
    record_size_.wrote(bytes.size());
    return true;
}

/// Takes the next record's bytes off the front of `pieces`, of whose first one `skip` bytes are
/// gone: where they are if they lie in one piece, else copied together.
std::span<const char> Session::take_record(std::span<const iovec>& pieces, std::size_t& skip) {
    auto& plain = io_.plain();
    const std::size_t limit = record_size_.limit();
    std::size_t filled = 0;
    while (!pieces.empty() && filled < limit) {
        const auto& from = pieces.front();
        if (skip >= from.iov_len) {
            skip -= from.iov_len;
            pieces = pieces.subspan(1);
            continue;
        }
        const std::span<const char> rest(static_cast<const char*>(from.iov_base) + skip,
                                         from.iov_len - skip);
        const std::size_t take = std::min(rest.size(), limit - filled);
        const bool alone = filled == 0 && (take == limit || pieces.size() == 1);
        if (alone) {
            skip += take;
            return rest.first(take);
        }
        if (filled != 0 && limit == RecordSize::kLargest && rest.size() > kCopyUpTo &&
            filled + rest.size() > limit) {
            break;  // as many records either way, and this one need not be copied
        }
        std::memcpy(plain.data() + filled, rest.data(), take);
        filled += take;
        skip += take;
    }
    return {plain.data(), filled};
}

/// Encrypts what follows the first `skip` bytes, until all is, the socket takes no more, or it
/// fails. The number of bytes encrypted.
std::size_t Session::encrypt_all(std::span<const iovec> pieces, std::size_t skip) {
    std::size_t done = 0;
    while (!pieces.empty()) {
        const auto record = take_record(pieces, skip);
        if (record.empty() || !encrypt(record)) {
            break;
        }
        done += record.size();
        if (io_.records().size() >= Io::kSendAt && !send_records()) {
            break;
        }
    }
    return done;
}

IoResult Session::write(std::span<const iovec> pieces) {
    if (!unsent_.empty()) {
        if (const auto rest = send_unsent(); rest.status != IoResult::Status::Ok) {
            return rest;
        }
    }
    const std::size_t told = std::exchange(withheld_, 0);
    record_size_.begin_write(io_.now());
    const std::size_t encrypted = encrypt_all(pieces, told);
    send_records();
    if (dead_ || !problem_.empty()) {
        return {IoResult::Status::Failed, 0, error_ != 0 ? error_ : EPROTO};
    }
    std::size_t bytes = told + encrypted;
    if (!unsent_.empty() && bytes != 0) {
        withheld_ = 1;
        --bytes;
    }
    return bytes == 0 ? IoResult{IoResult::Status::WouldBlock}
                      : IoResult{IoResult::Status::Ok, bytes, 0};
}

void Session::end_output() {
    if (dead_ || !problem_.empty() || !established_ ||
        (SSL_get_shutdown(ssl_) & SSL_SENT_SHUTDOWN) != 0) {
        return;
    }
    ERR_clear_error();
    if (SSL_shutdown(ssl_) < 0) {
        ERR_clear_error();
    }
    if (!unsent_.empty()) {
        static_cast<void>(send_unsent());
    }
    send_records();
}

Version Session::version() const {
    switch (SSL_version(ssl_)) {
        case TLS1_2_VERSION:
            return Version::Tls12;
        case TLS1_3_VERSION:
            return Version::Tls13;
        default:
            return Version::Unknown;
    }
}

bool Session::resumed() const {
    return SSL_session_reused(ssl_) == 1;
}

std::string Session::peer_subject() const {
    const X509* const certificate = SSL_get0_peer_certificate(ssl_);
    return certificate == nullptr ? std::string() : name_text(X509_get_subject_name(certificate));
}

std::string_view Session::protocol() const {
    const unsigned char* name = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl_, &name, &size);
    return {reinterpret_cast<const char*>(name), size};
}

std::string_view Session::server_name() const {
    const char* const name = SSL_get_servername(ssl_, TLSEXT_NAMETYPE_host_name);
    return name == nullptr ? std::string_view{} : std::string_view{name};
}

}  // namespace rproxy::tls
