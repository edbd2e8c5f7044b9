#include "brainlock/net/download.hpp"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <chrono>
#include <optional>
#include <vector>

namespace brainlock::net {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

namespace {

constexpr std::uint32_t kMaxHeaderBytes = 16 * 1024;
constexpr std::size_t kPieceBytes = 64 * 1024;
// Extensions of chunks and trailers are no body and have no limit of their own in the parser: this is theirs.
constexpr std::size_t kMaxUnparsedBytes = 96 * 1024;

/// One download. A step starts one operation and runs it to its end.
class Download {
 public:
  Download(const Url& url, const DownloadLimits& limits, std::stop_token stop)
      : url_(url), limits_(limits), stop_(std::move(stop)) {}

  Status run(const DownloadSink& sink) {
    BRAINLOCK_TRY(connect());
    if (!url_.secure) return exchange(*plain_, sink);
    BRAINLOCK_TRY(shake_hands());
    return exchange(*secure_, sink);
  }

 private:
  using Secure = beast::ssl_stream<beast::tcp_stream&>;

  Error failure(const char* step, const beast::error_code& error) {
    const std::string where = std::string(step) + " " + url_text(url_) + ": ";
    if (stopped_) return {ErrorCode::kCancelled, where + "stopped"};
    if (error == beast::error::timeout) return {ErrorCode::kTimeout, where + "not in time"};
    if (error == http::error::body_limit) {
      return {ErrorCode::kTooLarge, where + "more than " + std::to_string(limits_.max_bytes) + " bytes"};
    }
    if (error == http::error::header_limit || error == http::error::buffer_overflow) {
      return {ErrorCode::kTooLarge, where + error.message()};
    }
    const bool ended = error == http::error::end_of_stream || error == http::error::partial_message ||
                       error == asio::ssl::error::stream_truncated;
    if (ended) return {ErrorCode::kUnavailable, where + "the connection ended early"};
    if (error.category() == http::make_error_code(http::error::bad_version).category()) {
      return {ErrorCode::kMalformed, where + error.message()};
    }
    return {ErrorCode::kUnavailable, where + error.message()};
  }

  /// Runs what was started until it is over, or until somebody closes the connection under it.
  void work() {
    context_.restart();
    const std::stop_callback on_stop(stop_, [this] {
      asio::post(context_, [this] {
        stopped_ = true;
        resolver_.cancel();
        if (plain_) plain_->close();
      });
    });
    context_.run();
  }

  Status connect() {
    beast::error_code error = asio::error::operation_aborted;
    tcp::resolver::results_type places;
    resolver_.async_resolve(url_.host, std::to_string(url_.port),
                            [&](const beast::error_code& result, tcp::resolver::results_type found) {
                              error = result;
                              places = std::move(found);
                            });
    work();
    if (error || stopped_) return failure("look for the host of", error);
    plain_.emplace(context_);
    plain_->expires_after(milliseconds(limits_.connect_timeout_ms));
    error = asio::error::operation_aborted;
    plain_->async_connect(places, [&](const beast::error_code& result, const tcp::endpoint&) { error = result; });
    work();
    if (error || stopped_) return failure("connect to", error);
    return {};
  }

  Status shake_hands() {
    beast::error_code error;
    tls_.emplace(asio::ssl::context::tls_client);
    tls_->set_options(asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1);
    tls_->set_verify_mode(asio::ssl::verify_peer);
    tls_->set_default_verify_paths(error);
    if (error) return failure("find this system's certificate authorities for", error);
    secure_.emplace(*plain_, *tls_);
    secure_->set_verify_callback(asio::ssl::host_name_verification(url_.host), error);
    // Names only: an address in this field is against its standard.
    asio::ip::make_address(url_.host, error);
    if (error) SSL_set_tlsext_host_name(secure_->native_handle(), url_.host.c_str());
    plain_->expires_after(milliseconds(limits_.connect_timeout_ms));
    error = asio::error::operation_aborted;
    secure_->async_handshake(asio::ssl::stream_base::client, [&](const beast::error_code& result) { error = result; });
    work();
    if (!error && !stopped_) return {};
    const long verdict = SSL_get_verify_result(secure_->native_handle());
    if (!stopped_ && verdict != X509_V_OK) {
      return {ErrorCode::kDenied, "TLS with " + url_text(url_) + ": the certificate is not trusted here: " +
                                      X509_verify_cert_error_string(verdict)};
    }
    return failure("TLS with", error);
  }

  /// A step may take the idle time, and no more than what is left of the whole.
  void expire() {
    const auto left = std::max(milliseconds(0), std::chrono::duration_cast<milliseconds>(end_ - Clock::now()));
    plain_->expires_after(std::min(milliseconds(limits_.idle_timeout_ms), left));
  }

  template <typename Stream>
  Status exchange(Stream& stream, const DownloadSink& sink) {
    end_ = Clock::now() + milliseconds(limits_.total_timeout_ms);
    const bool usual = url_.port == (url_.secure ? 443 : 80);
    const std::string host = url_.host.find(':') != std::string::npos ? "[" + url_.host + "]" : url_.host;
    http::request<http::empty_body> request(http::verb::get, url_.path, 11);
    request.set(http::field::host, usual ? host : host + ":" + std::to_string(url_.port));
    request.set(http::field::connection, "close");

    beast::error_code error = asio::error::operation_aborted;
    expire();
    http::async_write(stream, request, [&](const beast::error_code& result, std::size_t) { error = result; });
    work();
    if (error || stopped_) return failure("ask for", error);

    beast::flat_buffer buffer(kMaxUnparsedBytes);
    http::response_parser<http::buffer_body> parser;
    parser.header_limit(kMaxHeaderBytes);
    parser.body_limit(limits_.max_bytes);
    error = asio::error::operation_aborted;
    expire();
    http::async_read_header(stream, buffer, parser,
                            [&](const beast::error_code& result, std::size_t) { error = result; });
    work();
    if (error || stopped_) return failure("read", error);
    BRAINLOCK_TRY(judge(parser.get().result_int()));

    std::vector<std::uint8_t> piece(kPieceBytes);
    while (!parser.is_done()) {
      parser.get().body().data = piece.data();
      parser.get().body().size = piece.size();
      error = asio::error::operation_aborted;
      expire();
      http::async_read_some(stream, buffer, parser,
                            [&](const beast::error_code& result, std::size_t) { error = result; });
      work();
      if (error == http::error::need_buffer) error = {};
      const std::size_t got = piece.size() - parser.get().body().size;
      if (!error && !stopped_ && got > 0) BRAINLOCK_TRY(sink({piece.data(), got}));
      if (error || stopped_) return failure("read", error);
    }
    return {};
  }

  Status judge(unsigned status) const {
    const std::string where = url_text(url_) + ": HTTP " + std::to_string(status);
    if (status == 200) return {};
    if (status == 404 || status == 410) return {ErrorCode::kNotFound, where + ", nothing is there"};
    if (status >= 300 && status < 400) {
      return {ErrorCode::kUnsupported, where + ": redirects are not followed; name the address that it leads to"};
    }
    return {ErrorCode::kUnavailable, where};
  }

  const Url url_;
  const DownloadLimits limits_;
  const std::stop_token stop_;
  asio::io_context context_{1};
  tcp::resolver resolver_{context_};
  std::optional<asio::ssl::context> tls_;
  std::optional<beast::tcp_stream> plain_;
  std::optional<Secure> secure_;
  Clock::time_point end_{};
  bool stopped_ = false;
};

}  // namespace

Status download(const Url& url, const DownloadLimits& limits, const DownloadSink& sink, std::stop_token stop) {
  return Download(url, limits, std::move(stop)).run(sink);
}

}  // namespace brainlock::net
