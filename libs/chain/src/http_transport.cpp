// JSON-RPC over HTTP POST: a connection for each request, no subscriptions. Beast stays inside this file.
#include <atomic>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <chrono>
#include <ctime>

#include "json_rpc.hpp"
#include "tls_context.hpp"

namespace brainlock::chain {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;
using boost::system::error_code;

// One exchange; lives in run()'s frame until its io_context has nothing left to do.
template <typename Stream>
class Exchange {
 public:
  template <typename... Args>
  explicit Exchange(const Endpoint& endpoint, Args&&... args)
      : endpoint_(endpoint), resolver_(io_), stream_(io_, std::forward<Args>(args)...) {}

  // The whole answer, whatever its status.
  Status exchange(std::string body, Milliseconds timeout) {
    request_.method(http::verb::post);
    request_.target(endpoint_.path);
    request_.version(11);
    request_.set(http::field::host, endpoint_.authority());
    request_.set(http::field::content_type, "application/json");
    request_.set(http::field::connection, "close");
    request_.body() = std::move(body);
    request_.prepare_payload();
    parser_.body_limit(kMaxMessageBytes);
    resolver_.async_resolve(endpoint_.host, endpoint_.port,
                            [this](error_code code, tcp::resolver::results_type found) { on_resolve(code, found); });
    io_.run_for(timeout);
    if (!finished_) {
      error_code ignored;
      resolver_.cancel();
      beast::get_lowest_layer(stream_).socket().close(ignored);
      io_.restart();
      io_.run_for(std::chrono::seconds(30));
      return Error{ErrorCode::kTimeout, endpoint_.url() + " did not answer in time"};
    }
    if (code_) {
      ErrorCode kind = ErrorCode::kUnavailable;
      if (code_ == http::error::body_limit) kind = ErrorCode::kTooLarge;
      if (code_.category() == asio::error::get_ssl_category()) kind = ErrorCode::kInsecure;
      return Error{kind, endpoint_.url() + ": " + code_.message()};
    }
    return {};
  }

  [[nodiscard]] std::string date() const { return std::string(parser_.get()[http::field::date]); }

  Result<std::string> run(std::string body, Milliseconds timeout) {
    BRAINLOCK_TRY(exchange(std::move(body), timeout));
    // Nodes put refusals of a request into JSON whatever the status; a page that something else made is not for parsing.
    const auto& response = parser_.get();
    if (response.result_int() != 200 && !response.body().starts_with('{')) {
      std::string text = endpoint_.url() + " answered HTTP " + std::to_string(response.result_int());
      if (response.result() == http::status::upgrade_required) text += ": it takes WebSocket connections only, use ws:// or wss://";
      return Error{ErrorCode::kUnavailable, std::move(text)};
    }
    return std::move(parser_.get().body());
  }

 private:
  void finish(error_code code) {
    code_ = code;
    finished_ = true;
  }
  void on_resolve(error_code code, const tcp::resolver::results_type& found) {
    if (code) return finish(code);
    auto& lowest = beast::get_lowest_layer(stream_);
    lowest.expires_never();
    lowest.async_connect(found, [this](error_code connected, auto) {
      if (connected) return finish(connected);
      if constexpr (std::is_same_v<Stream, beast::tcp_stream>) {
        write();
      } else {
        expect_host(stream_, endpoint_.host);
        stream_.async_handshake(asio::ssl::stream_base::client, [this](error_code shaken) {
          if (shaken) return finish(shaken);
          write();
        });
      }
    });
  }
  void write() {
    http::async_write(stream_, request_, [this](error_code code, std::size_t) {
      if (code) return finish(code);
      http::async_read(stream_, buffer_, parser_, [this](error_code read, std::size_t) { finish(read); });
    });
  }

  const Endpoint& endpoint_;
  asio::io_context io_;
  tcp::resolver resolver_;
  Stream stream_;
  http::request<http::string_body> request_;
  http::response_parser<http::string_body> parser_;
  beast::flat_buffer buffer_;
  error_code code_;
  bool finished_ = false;
};

class HttpTransport : public Transport {
 public:
  explicit HttpTransport(Endpoint endpoint) : endpoint_(std::move(endpoint)) {}

  Result<RpcReply> request(std::string_view method, std::string_view params, Milliseconds timeout) override {
    const std::uint64_t id = next_id_++;
    const std::string body = make_request(id, method, params);
    Result<std::string> text = [&] {
      if (!endpoint_.tls) return Exchange<beast::tcp_stream>(endpoint_).run(body, timeout);
      static asio::ssl::context context = make_tls_context();
      return Exchange<beast::ssl_stream<beast::tcp_stream>>(endpoint_, context).run(body, timeout);
    }();
    if (!text.ok()) return text.error();
    BRAINLOCK_ASSIGN(auto message, parse_message(*text));
    if (message.kind != RpcMessage::Kind::kReply || (message.id != id && !message.reply.error)) {
      return Error{ErrorCode::kMalformed, endpoint_.url() + " answered another request"};
    }
    return std::move(message.reply);
  }

  Result<SubscribeReply> subscribe(std::string_view, std::string_view, std::string_view, Milliseconds) override {
    return Error{ErrorCode::kUnsupported, "HTTP has no subscriptions; use a ws:// or wss:// endpoint"};
  }

  std::string describe() const override { return endpoint_.url(); }

 private:
  Endpoint endpoint_;
  std::atomic<std::uint64_t> next_id_ = 1;
};

}  // namespace

Result<ServerDate> read_server_date(const Endpoint& endpoint, Milliseconds timeout) {
  const auto now_ms = [] {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  };
  ServerDate out;
  std::string text;
  const auto ask = [&](auto& exchange) -> Status {
    out.asked_ms = now_ms();
    BRAINLOCK_TRY(exchange.exchange(make_request(1, "system_health", "[]"), timeout));
    out.answered_ms = now_ms();
    text = exchange.date();
    return {};
  };
  if (endpoint.tls) {
    asio::ssl::context context = make_tls_context();
    Exchange<beast::ssl_stream<beast::tcp_stream>> exchange(endpoint, context);
    BRAINLOCK_TRY(ask(exchange));
  } else {
    Exchange<beast::tcp_stream> exchange(endpoint);
    BRAINLOCK_TRY(ask(exchange));
  }
  std::tm moment{};
  const char* end = ::strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &moment);  // RFC 9110, section 5.6.7
  if (end == nullptr || *end != '\0') return Error{ErrorCode::kNotFound, endpoint.url() + " does not say the time"};
  out.unix_ms = static_cast<std::int64_t>(::timegm(&moment)) * 1000;
  return out;
}

std::unique_ptr<Transport> make_http_transport(const Endpoint& endpoint) {
  return std::make_unique<HttpTransport>(endpoint);
}

}  // namespace brainlock::chain
