#include "proxy/pump.h"

#include "http/forwarding.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

namespace rproxy::proxy {

using net::IoResult;

namespace {

/// Copying a small body behind its head costs less than a second iovec.
constexpr std::size_t kCopyUpTo = 2048;

iovec piece(std::string_view text) {
    // iovec has no const form; sendmsg only reads.
    return {const_cast<char*>(text.data()), text.size()};
}

}  // namespace

IoResult Outgoing::flush(net::Stream& stream) {
    if (!body_.empty() && body_.size() <= kCopyUpTo && !head_.empty()) {
        head_.append(body_);
        body_ = {};
    }
    while (!empty()) {
        std::array<iovec, 3> pieces{};
        std::size_t count = 0;
        for (const std::string_view text : {head_.view(), body_, tail_.view()}) {
            if (!text.empty()) {
                pieces[count++] = piece(text);
            }
        }
        const IoResult result = stream.write({pieces.data(), count});
        if (result.status != IoResult::Status::Ok) {
            return result;
        }
        const bool partial = result.bytes < size();
        consume(result.bytes);
        if (partial) {
            // The socket's buffer is full; the next attempt would only say so.
            return {IoResult::Status::WouldBlock, 0, 0};
        }
    }
    return {};
}

void Outgoing::consume(std::size_t n) {
    written_ += n;
    const std::size_t of_head = std::min(n, head_.size());
    head_.consume(of_head);
    n -= of_head;
    const std::size_t of_body = std::min(n, body_.size());
    body_.remove_prefix(of_body);
    n -= of_body;
    tail_.consume(n);
}

void Outgoing::clear(std::size_t keep) {
    head_.shrink(keep);
    body_ = {};
    tail_.shrink(keep);
    written_ = 0;
}

void Pump::start(const http::BodyFraming& framing, std::size_t head_size, bool chunked_out) {
    body_.start(framing);
    base_ = decoded_end_ = raw_begin_ = head_size_ = head_size;
    filled_ = false;
    chunked_out_ = chunked_out;
    end_framed_ = body_.complete();
    replayable_ = true;
    held_back_ = {};
}

Pump::Status Pump::run(End source, End sink) {
    while (true) {
        // Decoded first and then written, so that a head leaves together with the body behind it,
        // and nothing at all leaves of a body that is malformed from its start.
        Status status = decode();
        if (status == Status::Done) {
            status = flush(sink);
        }
        if (status == Status::Done && body_.complete()) {
            return Status::Done;
        }
        if (status == Status::Done && raw_begin_ == room().size()) {
            status = read(source);
        }
        if (status != Status::Done) {
            return status;
        }
    }
}

/// Done: nothing waits to be written.
Pump::Status Pump::flush(End sink) {
    if (out_.empty()) {
        return Status::Done;
    }
    if (!sink.ready) {
        return Status::WaitSink;
    }
    const IoResult result = out_.flush(sink.stream);
    switch (result.status) {
        case IoResult::Status::Ok:
            return Status::Done;
        case IoResult::Status::WouldBlock:
            sink.ready = false;
            return Status::WaitSink;
        case IoResult::Status::Closed:
        case IoResult::Status::Failed:
            break;
    }
    return Status::SinkFailed;
}

/// All that was read is written, so the room is used again, in pieces as large as it is, and what
/// was in it cannot be replayed. A body that has filled it gets a larger one.
void Pump::use_again() {
    replayable_ = replayable_ && decoded_end_ == base_;
    if (!lent_ && wants_more_room()) {
        lent_ = large_->lend();
        if (lent_) {
            buffer_.truncate(head_size_);
        }
    }
    base_ = lent_ ? 0 : head_size_;
    room().truncate(base_);
    decoded_end_ = raw_begin_ = base_;
}

bool Pump::wants_more_room() const {
    if (large_ == nullptr || !filled_ || replayable_ || large_->size() <= buffer_.capacity()) {
        return false;
    }
    return body_.kind() != http::BodyFraming::Kind::Length || body_.left() > buffer_.capacity();
}

/// Nothing is left in a lent buffer: others may use it meanwhile.
void Pump::wait_in_own_buffer() {
    if (lent_) {
        give_back();
        base_ = decoded_end_ = raw_begin_ = head_size_;
    }
}

void Pump::give_back() {
    if (lent_) {
        large_->take_back(std::move(*lent_));
        lent_.reset();
    }
}

/// Done: something was read, or the end was reached by the source's closing.
Pump::Status Pump::read(End source) {
    if (!source.ready) {
        wait_in_own_buffer();
        return Status::WaitSource;
    }
    if (!keeps_body_ || !replayable_ || buffer_.space().empty()) {
        use_again();
    }
    auto& room = this->room();
    const auto space = room.space();
    assert(!space.empty());  // a read of nothing would look like the end: Proxy::make_body_room
    const IoResult result = source.stream.read(space);
    switch (result.status) {
        case IoResult::Status::Ok:
            room.commit(result.bytes);
            bytes_read_ += result.bytes;
            filled_ = filled_ || result.bytes == space.size();
            source.ready = result.more || source.peer_closed;
            return Status::Done;
        case IoResult::Status::WouldBlock:
            source.ready = false;
            wait_in_own_buffer();
            return Status::WaitSource;
        case IoResult::Status::Closed:
            if (!body_.complete_at_close()) {
                return Status::SourceEnded;
            }
            frame({});
            return Status::Done;
        case IoResult::Status::Failed:
            break;
    }
    return Status::SourceFailed;
}

/// Done: nothing more can be decoded for now.
Pump::Status Pump::decode() {
    auto& room = this->room();
    if (body_.complete() || raw_begin_ == room.size() || !out_.takes_body()) {
        return Status::Done;
    }
    char* const memory = room.data();
    const auto step =
        body_.decode(memory + raw_begin_, room.size() - raw_begin_, memory + decoded_end_);
    const std::string_view decoded(memory + decoded_end_, step.produced);
    raw_begin_ += step.consumed;
    decoded_end_ += step.produced;
    if (step.status == http1::BodyReader::Status::Bad) {
        return Status::SourceMalformed;
    }
    frame(decoded);
    return limit_ != 0 && body_.received() > limit_ ? Status::TooLarge : Status::Done;
}

void Pump::frame(std::string_view body) {
    if (chunked_out_ && !body.empty()) {
        out_.head().append_number(body.size(), 16);
        out_.head().append("\r\n");
        out_.append_tail("\r\n");
    }
    out_.set_body(body);
    if (body_.complete() && !end_framed_) {
        end_framed_ = true;
        if (chunked_out_) {
            out_.append_tail("0\r\n");
            append_trailers();
            out_.append_tail("\r\n");
        }
    }
}

void Pump::append_trailers() {
    std::string_view rest = body_.trailers();
    if (held_back_.empty()) {
        out_.append_tail(rest);
        return;
    }
    while (!rest.empty()) {
        const std::string_view line = rest.substr(0, rest.find('\n') + 1);
        rest.remove_prefix(line.size());
        const std::string_view name = line.substr(0, line.find(':'));
        if (std::ranges::none_of(held_back_, [name](const std::string& field) {
                return http::reads_as(name, field);
            })) {
            out_.append_tail(line);
        }
    }
}

void Pump::replay() {
    end_framed_ = body_.complete() && !chunked_out_;
    frame({buffer_.data() + base_, decoded_end_ - base_});
}

void Pump::drop_message() {
    if (lent_) {
        buffer_.clear();
        buffer_.append(lent_->view().substr(raw_begin_));
        give_back();
    } else {
        buffer_.consume(std::min(raw_begin_, buffer_.size()));
    }
    base_ = decoded_end_ = raw_begin_ = head_size_ = 0;
}

void Pump::reset(std::size_t keep) {
    give_back();
    buffer_.shrink(keep);
    out_.clear(keep);
    base_ = decoded_end_ = raw_begin_ = head_size_ = 0;
    filled_ = false;
    end_framed_ = true;
    replayable_ = true;
    bytes_read_ = 0;
    limit_ = 0;
    body_.start({});
}

}  // namespace rproxy::proxy
