// A connection before it is known what it speaks.
#pragma once

#include <boost/beast/core/detect_ssl.hpp>

#include "brainlock/net/proxy_header.hpp"
#include "session.hpp"

namespace brainlock::net {

/// Looks at a connection's first bytes: of a proxy's whose it is, and then TLS or plain HTTP.
class Greeter final : public Connection {
 public:
  Greeter(tcp::socket socket, std::unique_ptr<Seat> seat)
      : stream_(std::move(socket)), executor_(stream_.get_executor()), seat_(std::move(seat)), shared_(seat_->shared) {}

  void start() {
    asio::post(executor_, [self = me()] {
      self->stream_.expires_after(Milliseconds(self->shared_->options.header_timeout_ms));
      if (self->seat_->peer) self->greet();
      else self->read_proxy_header();
    });
  }

  void kill() override {
    // The stream may be a session's by now, and then so is the end.
    asio::post(executor_, [self = me()] {
      if (self->seat_) self->close();
    });
  }

 private:
  std::shared_ptr<Greeter> me() { return std::static_pointer_cast<Greeter>(shared_from_this()); }

  // What was under way when the connection was closed may have ended well and come in here afterwards: nothing new is begun then.

  /// Piece by piece, within the one time limit. Bytes behind the header stay in the buffer, where the greeting looks first.
  void read_proxy_header() {
    stream_.async_read_some(buffer_.prepare(kMostProxyHeaderBytes), [self = me()](beast::error_code error, std::size_t bytes) {
      if (self->gone_) return;
      self->buffer_.commit(bytes);
      if (error) return self->on_no_proxy_header(error);
      const auto seen = self->buffer_.data();
      const ProxyReading reading = net::read_proxy_header({static_cast<const std::uint8_t*>(seen.data()), seen.size()});
      if (reading.state == ProxyReading::State::kIncomplete) return self->read_proxy_header();
      if (reading.state == ProxyReading::State::kNone) return self->complain(reading.fault);
      self->buffer_.consume(reading.bytes);
      self->settle(reading.source);
    });
  }

  void on_no_proxy_header(beast::error_code error) {
    if (error == beast::error::timeout) {
      ++shared_->timeouts;
      return complain(ProxyFault::kNotInTime);
    }
    // Who connects and goes without a word only looks whether somebody is there.
    if (buffer_.size() == 0) return close();
    complain(ProxyFault::kClosed);
  }

  void complain(ProxyFault fault) {
    const std::string reason(proxy_fault_name(fault));
    ++shared_->bad_proxy_headers;
    log_event(shared_->options.log, shared_->told.allow(reason) ? EventLevel::kWarning : EventLevel::kDebug, "proxy_header", {{"reason", reason}, {"proxy", seat_->ip}});
    close();
  }

  /// Now the connection is somebody's, and what holds for everybody holds for it.
  void settle(const std::string& source) {
    Peer peer = peer_of(source.empty() ? seat_->ip : source);
    // A proxy can be told anything: that it serves this machine is no reason to let a connection be without limits. Its own connections are what they are.
    if (!source.empty()) peer.loopback = false;
    if (!shared_->settle(peer)) return close();
    if (!source.empty()) seat_->ip = source;
    seat_->peer = std::move(peer);
    greet();
  }

  void greet() {
    if (!shared_->tls) return hand_over(false);
    beast::async_detect_ssl(stream_, buffer_, [self = me()](beast::error_code error, bool tls) {
      if (error == beast::error::timeout) ++self->shared_->timeouts;
      if (error) return self->close();
      self->hand_over(tls);
    });
  }

  void hand_over(bool tls) {
    if (!seat_) return;
    const auto shared = shared_;
    const auto go_on = [&](const auto& session) {
      hand_on(*shared, this, session);
      session->start();
    };
    using Secure = beast::ssl_stream<beast::tcp_stream>;
    if (tls) go_on(std::make_shared<Session<Secure>>(Secure(std::move(stream_), *shared->tls), std::move(buffer_), std::move(seat_)));
    else go_on(std::make_shared<Session<beast::tcp_stream>>(std::move(stream_), std::move(buffer_), std::move(seat_)));
  }

  void close() {
    gone_ = true;
    stream_.close();
    forget(*shared_, this);
  }

  beast::tcp_stream stream_;
  const asio::any_io_executor executor_;
  std::unique_ptr<Seat> seat_;
  const std::shared_ptr<Shared> shared_;
  beast::flat_buffer buffer_{64 * 1024};
  bool gone_ = false;
};

}  // namespace brainlock::net
