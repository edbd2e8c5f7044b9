// One connection that speaks HTTP, in TLS or plain: a chain of callbacks on a strand.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/vector_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <limits>

#include "connections.hpp"

namespace brainlock::net {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;

/// Bytes of an unwanted body that are read and dropped so that the peer sees the refusal instead of a reset.
constexpr std::uint64_t kLingerBytes = 1 << 20;
constexpr Milliseconds kLingerTime{2000};
constexpr std::size_t kPieceBytes = 64 * 1024;
/// Bytes of a next request that are taken in while an answer is made, in pieces.
constexpr std::size_t kAheadBytes = 16 * 1024, kAheadPieceBytes = 4 * 1024;

template <typename Stream>
class Session final : public Connection {
 public:
  Session(Stream stream, beast::flat_buffer buffer, std::unique_ptr<Seat> seat)
      : stream_(std::move(stream)), seat_(std::move(seat)), shared_(seat_->shared), buffer_(std::move(buffer)), rest_(stream_.get_executor()) {}

  ~Session() override { end_work(); }

  /// On the connection's strand.
  void start() {
    beast::error_code ignored;
    tcp_stream().socket().set_option(tcp::no_delay(true), ignored);
    if constexpr (std::is_same_v<Stream, beast::tcp_stream>) {
      read_header();
    } else {
      tcp_stream().expires_after(Milliseconds(shared_->options.header_timeout_ms));
      stream_.async_handshake(asio::ssl::stream_base::server, buffer_.data(), [self = me()](beast::error_code error, std::size_t used) {
        self->buffer_.consume(used);
        if (error == beast::error::timeout) ++self->shared_->timeouts;
        else if (error) ++self->shared_->bad;
        if (error) return self->close();
        self->read_header();
      });
    }
  }

  void kill() override {
    asio::post(stream_.get_executor(), [self = me()] { self->give_up(); });
  }

 private:
  std::shared_ptr<Session> me() { return std::static_pointer_cast<Session>(this->shared_from_this()); }
  beast::tcp_stream& tcp_stream() { return beast::get_lowest_layer(stream_); }

  void read_header() {
    if (shared_->stopping) return close();
    parser_.emplace();
    allowed_origin_.clear();
    parser_->header_limit(static_cast<std::uint32_t>(shared_->options.max_header_bytes));
    parser_->body_limit(std::numeric_limits<std::uint64_t>::max());  // the application's business
    phase_ = Phase::kRequest;
    tcp_stream().expires_after(Milliseconds(shared_->options.header_timeout_ms));
    http::async_read_header(stream_, buffer_, *parser_, [self = me()](beast::error_code error, std::size_t) {
      self->on_header(error);
    });
  }

  // What was under way when the connection was closed may have ended well and come in here afterwards: nothing new is begun then.

  void on_header(beast::error_code error) {
    if (gone_) return;
    if (error == beast::error::timeout) ++shared_->timeouts;
    if (error == http::error::end_of_stream || error == beast::error::timeout || error == asio::error::operation_aborted) return close();
    if (error) {
      ++shared_->bad;
      if (error.category() != http::make_error_code(http::error::bad_method).category()) return close();
      must_close_ = true;
      return write({error == http::error::header_limit ? 431 : 400, "text/plain", {}, text_bytes(error.message() + "\n")});
    }
    ++shared_->requests;
    const auto& message = parser_->get();
    must_close_ = !message.keep_alive();
    RequestHead head;
    head.method = std::string(message.method_string());
    head.target = std::string(message.target());
    head.peer_ip = seat_->ip;
    for (const auto& field : message) head.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
    head.allowed_origin = allowed_origin_ = std::string(shared_->options.browsers.origins.allowed(head.headers));
    if (message.find(http::field::transfer_encoding) != message.end()) {
      ++shared_->bad;
      must_close_ = true;   // where its body ends is not known
      return refuse({411, "text/plain", {}, text_bytes("a body needs Content-Length\n")});
    }
    if (const auto length = parser_->content_length()) head.content_length = *length;
    begin_work();
    auto decision = shared_->application->begin(head);
    if (auto* refusal = std::get_if<Response>(&decision)) return refuse(std::move(*refusal));
    exchange_ = std::move(std::get<std::unique_ptr<Exchange>>(decision));
    prove(exchange_->ordinary());
    tcp_stream().expires_after(shared_->transfer_time(head.content_length));
    if (beast::iequals(message[http::field::expect], "100-continue") && !parser_->is_done()) return write_continue();
    read_body();
  }

  void write_continue() {
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    asio::async_write(stream_, asio::buffer(kContinue.data(), kContinue.size()),
                      [self = me()](beast::error_code error, std::size_t) {
                        if (error) return self->give_up();
                        self->read_body();
                      });
  }

  void read_body() {
    if (parser_->is_done()) return work_on_it();
    if (piece_.empty()) piece_.resize(kPieceBytes);
    parser_->get().body().data = piece_.data();
    parser_->get().body().size = piece_.size();
    http::async_read(stream_, buffer_, *parser_, [self = me()](beast::error_code error, std::size_t) {
      self->on_body(error);
    });
  }

  void on_body(beast::error_code error) {
    if (gone_) return;
    if (error && error != http::error::need_buffer) {
      if (error == beast::error::timeout) ++shared_->timeouts;
      return give_up();
    }
    const std::size_t bytes = kPieceBytes - parser_->get().body().size;
    shared_->in += bytes;
    if (bytes > 0) {
      if (auto refusal = exchange_->body({piece_.data(), bytes})) return refuse(std::move(*refusal));
    }
    read_body();
  }

  void work_on_it() {
    piece_ = {};
    tcp_stream().expires_never();
    const auto answered = std::make_shared<std::atomic<bool>>(false);
    phase_ = Phase::kAnswer;
    look_ahead();
    Respond respond = [weak = std::weak_ptr<Session>(me()), gate = shared_->gate, answered](Response response) {
      if (answered->exchange(true)) return;
      const std::lock_guard lock(gate->mutex);
      if (!gate->open) return;
      if (const auto self = weak.lock()) {
        asio::post(self->stream_.get_executor(), [self, response = std::move(response)]() mutable { self->on_answer(std::move(response)); });
      }
    };
    exchange_->complete(std::move(respond));
  }

  /// While the answer is made the connection is read on: so it shows whether the peer is still there, also what TLS says of it, and also
  /// behind bytes of a next request, which the parser finds in the buffer afterwards. The reading goes on beside the writing of the answer and may outlast it (rest()).
  /// A peer that sends more than the buffer takes is not watched any further.
  void look_ahead() {
    if (buffer_.size() >= kAheadBytes) return;
    reading_ahead_ = true;
    stream_.async_read_some(buffer_.prepare(kAheadPieceBytes), [self = me()](beast::error_code error, std::size_t bytes) {
      self->on_read_ahead(error, bytes);
    });
  }

  void on_read_ahead(beast::error_code error, std::size_t bytes) {
    reading_ahead_ = false;
    buffer_.commit(bytes);
    if (gone_) return;
    ended_ = error && error != asio::error::operation_aborted;
    switch (phase_) {
      case Phase::kRequest: break;   // does not come: a header is not begun before
      case Phase::kAnswer: return error ? give_up() : look_ahead();
      case Phase::kWriting: return;
      case Phase::kResting:
        rest_.cancel();
        return ended_ ? close() : read_header();
    }
  }

  /// The answer is out while the reading ahead goes on: the next header begins with what it brings, or where it is broken off.
  void rest() {
    phase_ = Phase::kResting;
    if (buffer_.size() > 0) {
      beast::error_code ignored;
      tcp_stream().socket().cancel(ignored);  // what has come already may be a whole request
    }
    rest_.expires_after(Milliseconds(shared_->options.header_timeout_ms));
    rest_.async_wait([self = me()](beast::error_code error) {
      if (error || self->gone_ || self->phase_ != Phase::kResting) return;
      ++self->shared_->timeouts;
      self->close();
    });
  }

  void on_answer(Response response) {
    if (gone_) return;
    write(std::move(response));
  }

  /// Answers before the body was read: what is left of it makes the connection useless.
  void refuse(Response response) {
    begin_work();
    if (!parser_->is_done()) linger_ = must_close_ = true;
    write(std::move(response));
  }

  void write(Response response) {
    phase_ = Phase::kWriting;
    answer_ = {};
    answer_.version(11);
    answer_.result(static_cast<unsigned>(response.status));
    if (!response.content_type.empty()) answer_.set(http::field::content_type, response.content_type);
    for (const auto& [name, value] : response.headers) answer_.insert(name, value);
    if (!allowed_origin_.empty()) tell_browser();
    answer_.body() = std::move(response.body);
    must_close_ = must_close_ || response.close;
    answer_.keep_alive(!must_close_ && !shared_->stopping);
    answer_.prepare_payload();
    if (response.status == 204) answer_.content_length(boost::none);   // which has no body, and may not say so
    shared_->out += answer_.body().size();
    tcp_stream().expires_after(shared_->transfer_time(answer_.body().size()));
    http::async_write(stream_, answer_, [self = me()](beast::error_code error, std::size_t) {
      self->on_written(error);
    });
  }

  /// Which page may read the answer. What the peer sent is compared and not repeated.
  void tell_browser() {
    answer_.set(http::field::access_control_allow_origin, allowed_origin_);
    if (allowed_origin_ != "*") answer_.set(http::field::vary, "Origin");
    answer_.set(http::field::access_control_expose_headers, shared_->options.browsers.answer_headers);
  }

  void on_written(beast::error_code error) {
    if (gone_) return;
    if (error) {
      if (error == beast::error::timeout) ++shared_->timeouts;
      return give_up();
    }
    answer_ = {};
    exchange_.reset();
    end_work();
    if (linger_) return start_linger();
    if (must_close_ || ended_ || shared_->stopping) return close();
    if (reading_ahead_) return rest();
    read_header();
  }

  void start_linger() {
    beast::error_code ignored;
    tcp_stream().socket().shutdown(tcp::socket::shutdown_send, ignored);
    piece_.resize(kPieceBytes);
    tcp_stream().expires_after(kLingerTime);
    linger();
  }

  void linger() {
    // What comes is not looked at, encrypted or not.
    tcp_stream().async_read_some(asio::buffer(piece_), [self = me()](beast::error_code error, std::size_t bytes) {
      self->lingered_ += bytes;
      if (error || self->lingered_ > kLingerBytes) return self->close();
      self->linger();
    });
  }

  /// The peer is gone or hopeless.
  void give_up() {
    if (gone_) return;
    gone_ = true;
    if (exchange_) {
      ++shared_->cancelled;
      exchange_->cancelled();
    }
    close();
  }

  void close() {
    gone_ = true;
    rest_.cancel();
    beast::error_code ignored;
    tcp_stream().socket().shutdown(tcp::socket::shutdown_both, ignored);
    tcp_stream().close();
    end_work();
    forget(*shared_, this);
  }

  void prove(bool ordinary) {
    if (settled_) return;
    const std::lock_guard lock(shared_->mutex);
    if (!std::exchange(asked_, true)) shared_->door.prove(*seat_->peer);
    if (!ordinary) {
      settled_ = proven = true;
      if (std::exchange(seat_->ordinary, false)) --shared_->ordinary;
    } else if (!proven && shared_->ordinary < shared_->options.max_connections / 2) {
      proven = seat_->ordinary = true;
      ++shared_->ordinary;
    }
  }

  void begin_work() {
    if (!working_) shared_->work(+1);
    working_ = true;
  }
  void end_work() {
    if (working_) shared_->work(-1);
    working_ = false;
  }

  Stream stream_;
  const std::unique_ptr<Seat> seat_;
  const std::shared_ptr<Shared> shared_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::buffer_body>> parser_;
  http::response<http::vector_body<std::uint8_t>> answer_;
  std::unique_ptr<Exchange> exchange_;
  std::vector<std::uint8_t> piece_;
  std::string allowed_origin_;   ///< RequestHead::allowed_origin of the request in work
  std::uint64_t lingered_ = 0;
  bool must_close_ = false, linger_ = false, gone_ = false, working_ = false;
  enum class Phase { kRequest, kAnswer, kWriting, kResting } phase_ = Phase::kRequest;
  bool reading_ahead_ = false;   ///< until then nobody else reads, and buffer_ is not to be touched
  bool ended_ = false;           ///< the peer sends no more
  bool asked_ = false;           ///< a request was taken
  bool settled_ = false;         ///< and one of somebody who is no ordinary asker
  asio::steady_timer rest_;      ///< a reading that has begun cannot be given an end any more
};

}  // namespace brainlock::net
