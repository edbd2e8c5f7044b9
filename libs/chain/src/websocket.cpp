// A message channel over WebSocket, plain or TLS. Beast stays inside this file.
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/ssl.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>

#include "message_channel.hpp"
#include "tls_context.hpp"

namespace brainlock::chain {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using tcp = asio::ip::tcp;
using boost::system::error_code;

Error network_error(const std::string& url, std::string_view act, const error_code& code) {
  ErrorCode kind = ErrorCode::kUnavailable;
  if (code == websocket::error::message_too_big) kind = ErrorCode::kTooLarge;
  if (code.category() == asio::error::get_ssl_category()) kind = ErrorCode::kInsecure;
  std::string text = std::string(act) + " " + url + ": " + code.message();
  if (code == websocket::error::upgrade_declined) text += " (a node without WebSocket is reached with http:// or https://)";
  return {kind, std::move(text)};
}

// One connection, driven by running its own io_context only while a caller waits: no thread of its own.
template <typename Stream>
class WebSocketChannel : public MessageChannel {
 public:
  template <typename... Args>
  explicit WebSocketChannel(const Endpoint& endpoint, Args&&... args)
      : endpoint_(endpoint), resolver_(io_), socket_(io_, std::forward<Args>(args)...) {}

  ~WebSocketChannel() override {
    error_code ignored;
    beast::get_lowest_layer(socket_).socket().close(ignored);
  }

  Status open(Milliseconds timeout) {
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    tcp::resolver::results_type addresses;
    BRAINLOCK_TRY(wait("resolving", deadline, [&](auto done) {
      resolver_.async_resolve(endpoint_.host, endpoint_.port, [&, done](error_code code, auto found) {
        addresses = std::move(found);
        done(code);
      });
    }));
    auto& lowest = beast::get_lowest_layer(socket_);
    lowest.expires_never();  // Deadlines are kept here, over whole operations.
    BRAINLOCK_TRY(wait("connecting to", deadline, [&](auto done) {
      lowest.async_connect(addresses, [done](error_code code, auto) { done(code); });
    }));
    error_code ignored;
    lowest.socket().set_option(tcp::no_delay(true), ignored);
    if constexpr (!std::is_same_v<Stream, beast::tcp_stream>) {
      expect_host(socket_.next_layer(), endpoint_.host);
      BRAINLOCK_TRY(wait("TLS with", deadline, [&](auto done) {
        socket_.next_layer().async_handshake(asio::ssl::stream_base::client, [done](error_code code) { done(code); });
      }));
    }
    socket_.read_message_max(kMaxMessageBytes);
    BRAINLOCK_TRY(wait("WebSocket handshake with", deadline, [&](auto done) {
      socket_.async_handshake(endpoint_.authority(), endpoint_.path, [done](error_code code) { done(code); });
    }));
    socket_.text(true);
    return {};
  }

  Status send(std::string_view text, Milliseconds timeout) override {
    const std::string copy(text);
    return wait("sending to", std::chrono::steady_clock::now() + timeout, [&](auto done) {
      socket_.async_write(asio::buffer(copy), [done](error_code code, std::size_t) { done(code); });
    });
  }

  Result<std::string> receive(Milliseconds timeout) override {
    // A read that was not finished in time goes on; the next call waits for the same one.
    if (!reading_) {
      reading_ = true;
      read_code_.reset();
      socket_.async_read(buffer_, [this](error_code code, std::size_t) { read_code_ = code; });
    }
    run_until(std::chrono::steady_clock::now() + timeout, [&] { return read_code_.has_value(); });
    if (!read_code_) return Error{ErrorCode::kTimeout, "nothing came from " + endpoint_.url()};
    reading_ = false;
    if (*read_code_) return network_error(endpoint_.url(), "connection to", *read_code_);
    std::string text = beast::buffers_to_string(buffer_.data());
    buffer_.consume(buffer_.size());
    return text;
  }

  std::string describe() const override { return endpoint_.url(); }

 private:
  template <typename Finished>
  void run_until(std::chrono::steady_clock::time_point deadline, Finished finished) {
    io_.restart();
    while (!finished()) {
      if (io_.run_one_until(deadline) == 0) {
        if (std::chrono::steady_clock::now() >= deadline || io_.stopped()) return;
      }
    }
  }

  // Runs one operation to its end or its deadline; one that missed it leaves the connection closed, because half of it
  // may have happened.
  template <typename Start>
  Status wait(std::string_view act, std::chrono::steady_clock::time_point deadline, Start start) {
    auto outcome = std::make_shared<std::optional<error_code>>();
    start([outcome](error_code code) { *outcome = code; });
    run_until(deadline, [&] { return outcome->has_value(); });
    if (!*outcome) {
      error_code ignored;
      resolver_.cancel();
      beast::get_lowest_layer(socket_).socket().close(ignored);
      // Handlers hold references to the caller's frame: let them run before it goes.
      io_.restart();
      while (!*outcome && io_.run_one_for(std::chrono::seconds(30)) > 0) {
      }
      return Error{ErrorCode::kTimeout, std::string(act) + " " + endpoint_.url() + " took too long"};
    }
    if (**outcome) return network_error(endpoint_.url(), act, **outcome);
    return {};
  }

  Endpoint endpoint_;
  asio::io_context io_;
  tcp::resolver resolver_;
  websocket::stream<Stream> socket_;
  beast::flat_buffer buffer_;
  bool reading_ = false;
  std::optional<error_code> read_code_;
};

template <typename Channel, typename... Args>
Result<std::unique_ptr<MessageChannel>> open_channel(const Endpoint& endpoint, Milliseconds timeout, Args&&... args) {
  auto channel = std::make_unique<Channel>(endpoint, std::forward<Args>(args)...);
  BRAINLOCK_TRY(channel->open(timeout));
  return std::unique_ptr<MessageChannel>(std::move(channel));
}

}  // namespace

Result<std::unique_ptr<MessageChannel>> open_websocket(const Endpoint& endpoint, Milliseconds timeout) {
  if (!endpoint.tls) return open_channel<WebSocketChannel<beast::tcp_stream>>(endpoint, timeout);
  static asio::ssl::context context = make_tls_context();
  return open_channel<WebSocketChannel<beast::ssl_stream<beast::tcp_stream>>>(endpoint, timeout, context);
}

}  // namespace brainlock::chain
