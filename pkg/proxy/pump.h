#pragma once

#include "http/buffer.h"
#include "http1/body_reader.h"
#include "net/stream.h"
#include "proxy/large_buffers.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace rproxy::proxy {

/// What is being written to one stream: a head or chunk size, a piece of body where it was read, an
/// end. One send as long as the socket takes it.
class Outgoing {
public:
    http::Buffer& head() { return head_; }
    void set_body(std::string_view body) { body_ = body; }
    void append_tail(std::string_view text) { tail_.append(text); }

    bool empty() const { return head_.empty() && body_.empty() && tail_.empty(); }
    /// A body piece may still join what waits, to leave in the same send.
    bool takes_body() const { return body_.empty() && tail_.empty(); }
    std::size_t size() const { return head_.size() + body_.size() + tail_.size(); }
    /// Writes as much as the stream takes. Ok: all is written.
    net::IoResult flush(net::Stream& stream);
    /// Bytes written since the last clear().
    std::uint64_t written() const { return written_; }
    /// Nothing to write, nothing written; memory above `keep` is given back.
    void clear(std::size_t keep);

private:
    void consume(std::size_t n);

    http::Buffer head_;
    std::string_view body_;
    http::Buffer tail_;
    std::uint64_t written_{0};
};

/// One direction of an exchange: takes a body off its source, re-frames it and writes it to its
/// sink. Reads only when everything read before is written (back-pressure costs nothing) and holds
/// one buffer. Knows no policy: it says why it stopped.
class Pump {
public:
    enum class Status : std::uint8_t {
        WaitSource,   ///< Nothing to read now.
        WaitSink,     ///< The sink takes no more now.
        Done,         ///< The whole body is written.
        SourceEnded,  ///< The source closed before the body's end.
        SourceFailed,
        SourceMalformed,  ///< Bad chunking.
        SinkFailed,
        TooLarge,  ///< The body passed the limit.
    };
    /// One side's stream and the edges it has seen; shared with whoever owns the socket.
    struct End {
        net::Stream& stream;
        bool& ready;  ///< Readable for the source, writable for the sink.
        const bool& peer_closed;
    };

    /// `keeps_body`: as much of the body as the buffer holds is kept for replay(). `large`, if any,
    /// lends to bodies that fill the buffer; outlives the pump.
    explicit Pump(bool keeps_body = true, LargeBuffers* large = nullptr)
        : keeps_body_(keeps_body), large_(large) {}
    ~Pump() { give_back(); }
    Pump(const Pump&) = delete;
    Pump& operator=(const Pump&) = delete;

    /// A body with this framing follows the `head_size` bytes at the start of `buffer()`.
    void start(const http::BodyFraming& framing, std::size_t head_size, bool chunked_out);
    /// Moves what can be moved without waiting.
    Status run(End source, End sink);

    /// What was read from the source, the message's head first. Of a body that goes through a lent
    /// buffer only the head, whose views stay valid.
    http::Buffer& buffer() { return buffer_; }
    Outgoing& out() { return out_; }
    const Outgoing& out() const { return out_; }
    const http1::BodyReader& body() const { return body_; }
    /// Everything of the body was read from the source (though perhaps not written).
    bool source_complete() const { return body_.complete(); }
    bool done() const { return body_.complete() && end_framed_ && out_.empty(); }
    /// The head and all body bytes so far are still in the buffer, to be sent again by replay().
    bool replayable() const { return replayable_; }
    /// Frames once more what was read so far, behind a head that the caller put into out() again.
    void replay();
    /// Bytes behind the end of the body: the next message. Valid once source_complete().
    std::size_t surplus() const { return room().size() - raw_begin_; }
    /// Leaves only the surplus in the buffer.
    void drop_message();
    /// Body bytes above this end in TooLarge; 0: no limit.
    void set_limit(std::uint64_t limit) { limit_ = limit; }
    /// Fields that are not passed on in trailers; must live until the next start().
    void hold_back(std::span<const std::string> trailers) { held_back_ = trailers; }
    /// For the next exchange: empty, memory above `keep` given back.
    void reset(std::size_t keep);
    /// Bytes read from the source over all reads.
    std::uint64_t bytes_read() const { return bytes_read_; }
    void count_read(std::size_t n) { bytes_read_ += n; }

private:
    Status flush(End sink);
    Status read(End source);
    Status decode();
    void frame(std::string_view body);
    http::Buffer& room() { return lent_ ? *lent_ : buffer_; }
    const http::Buffer& room() const { return lent_ ? *lent_ : buffer_; }
    void use_again();
    bool wants_more_room() const;
    void wait_in_own_buffer();
    void give_back();
    void append_trailers();

    const bool keeps_body_;
    LargeBuffers* const large_;
    http::Buffer buffer_;               // head, decoded body so far, raw bytes
    std::optional<http::Buffer> lent_;  // instead, without the head, while something is in it
    Outgoing out_;
    http1::BodyReader body_;
    std::size_t base_{0};  // where the body starts in the room it goes through
    std::size_t head_size_{0};
    std::size_t decoded_end_{0};
    std::size_t raw_begin_{0};
    std::span<const std::string> held_back_;
    std::uint64_t limit_{0};
    std::uint64_t bytes_read_{0};
    bool chunked_out_{false};
    bool end_framed_{true};
    bool replayable_{true};
    bool filled_{false};  // the source had more than the buffer took
};

}  // namespace rproxy::proxy
