#include "brainlock/net/client.hpp"

#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/span_body.hpp>
#include <boost/beast/http/vector_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <optional>

#include "tls.hpp"

namespace brainlock::net {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::uint32_t kMaxAnswerHeaderBytes = 16 * 1024;
// Bytes read and not yet understood. The parser's limits count neither extensions of chunks nor what follows the last one, and an answer could go on in
// either for ever.
constexpr std::size_t kMaxUnparsedBytes = 96 * 1024;

double seconds(Clock::duration time) { return std::chrono::duration<double>(time).count(); }

}  // namespace

struct Client::Impl {
  using Secure = beast::ssl_stream<beast::tcp_stream>;
  std::string ip;
  std::uint16_t port = 0;
  TlsPeerCheck check;
  std::string beginning;
  asio::io_context context{1};
  std::optional<asio::ssl::context> tls;
  std::optional<beast::tcp_stream> plain;    ///< one of the two
  std::unique_ptr<Secure> secure;
  bool denied = false;
  beast::flat_buffer buffer{kMaxUnparsedBytes};
  bool stopped = false;
  std::optional<Clock::time_point> heard;
  double round_trip_s = 0;

  /// After a step that waited for the other side.
  void note(const beast::error_code& error) {
    const bool its_word = !error || error == asio::error::connection_refused || error == asio::error::connection_reset || error == asio::error::eof ||
                          error == asio::ssl::error::stream_truncated || error == http::error::end_of_stream || error == http::error::partial_message;
    if (its_word) heard = Clock::now();
  }

  [[nodiscard]] beast::tcp_stream* stream() {
    if (secure) return &beast::get_lowest_layer(*secure);
    return plain ? &*plain : nullptr;
  }

  /// Runs what was started until it is over, or `stop` closes the connection under it.
  void run(const std::stop_token& stop) {
    context.restart();
    const std::stop_callback on_stop(stop, [this] {
      asio::post(context, [this] {
        stopped = true;
        if (stream() != nullptr) stream()->close();
      });
    });
    context.run();
  }

  Error failure(const char* step, const beast::error_code& error, bool overdue) {
    close();
    const std::string where = std::string(step) + " " + ip + ":" + std::to_string(port) + ": ";
    if (stopped) return {ErrorCode::kCancelled, where + "stopped"};
    if (overdue || error == beast::error::timeout) return {ErrorCode::kTimeout, where + "not in time"};
    if (error == http::error::body_limit || error == http::error::header_limit || error == http::error::buffer_overflow) return {ErrorCode::kTooLarge, where + error.message()};
    if (error == http::error::end_of_stream || error == http::error::partial_message || error == asio::ssl::error::stream_truncated) return {ErrorCode::kUnavailable, where + "the connection ended"};
    if (error.category() == http::make_error_code(http::error::bad_version).category()) return {ErrorCode::kMalformed, where + error.message()};
    return {ErrorCode::kUnavailable, where + error.message()};
  }

  /// A kept connection that the server has closed meanwhile is readable, and so is one on which it speaks unasked.
  [[nodiscard]] bool usable() {
    if (stream() == nullptr || !stream()->socket().is_open() || buffer.size() > 0) return false;
    if (secure) return only_tls_spoke();
    char byte = 0;
    const auto got = ::recv(stream()->socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  }

  /// TLS has words of its own between answers, tickets for example, and its goodbye may have come with the last answer. Only reading tells, and takes in
  /// what there is.
  [[nodiscard]] bool only_tls_spoke() {
    beast::error_code error;
    stream()->socket().non_blocking(true, error);
    if (error) return false;
    char byte = 0;
    secure->read_some(asio::buffer(&byte, 1), error);
    return error == asio::error::would_block || error == asio::error::try_again;
  }

  Status connect(std::int64_t timeout_ms, const std::stop_token& stop) {
    if (usable()) return {};
    close();
    stopped = false;
    beast::error_code error;
    const auto address = asio::ip::make_address(ip, error);
    if (error) return {ErrorCode::kInvalidArgument, "not an IP address: " + ip};
    if (check) BRAINLOCK_TRY(prepare_tls());
    else plain.emplace(context);
    stream()->expires_after(std::chrono::milliseconds(timeout_ms));
    const auto begun = Clock::now();
    stream()->async_connect(tcp::endpoint(address, port), [&error](beast::error_code result) { error = result; });
    run(stop);
    note(error);
    if (error || stopped) return failure("connect to", error, false);
    round_trip_s = seconds(Clock::now() - begun);
    stream()->socket().set_option(tcp::no_delay(true), error);
    if (!beginning.empty()) {
      error = asio::error::operation_aborted;
      asio::async_write(*stream(), asio::buffer(beginning), [&error](beast::error_code result, std::size_t) { error = result; });
      run(stop);
      if (error || stopped) return failure("begin with", error, false);
    }
    if (!secure) return {};
    error = asio::error::operation_aborted;
    denied = false;
    secure->async_handshake(asio::ssl::stream_base::client, [&error](beast::error_code result) { error = result; });
    run(stop);
    if (error && denied) {
      close();
      return {ErrorCode::kDenied, "the certificate of " + ip + ":" + std::to_string(port) + " is not bound to the expected key"};
    }
    if (error || stopped) return failure("TLS with", error, false);
    return {};
  }

  Status prepare_tls() {
    if (!tls) {
      tls.emplace(asio::ssl::context::tlsv13_client);
      tls->set_verify_mode(asio::ssl::verify_peer);
    }
    secure = std::make_unique<Secure>(beast::tcp_stream(context), *tls);
    beast::error_code error;
    // Authorities, names and dates play no part: the proof in the certificate decides.
    secure->set_verify_callback([this](bool, asio::ssl::verify_context& verify) {
      const auto claim = read_tls_claim(::X509_STORE_CTX_get0_cert(verify.native_handle()));
      denied = !claim || !check(claim->key, claim->proof);
      return !denied;
    }, error);
    if (error) return {ErrorCode::kInternal, "TLS: " + error.message()};
    return {};
  }

  void close() {
    if (stream() != nullptr) stream()->close();
    secure.reset();
    plain.reset();
    buffer.clear();
    round_trip_s = 0;
  }
};

Client::Client(std::string ip, std::uint16_t port, TlsPeerCheck tls) : impl_(std::make_unique<Impl>()) {
  impl_->check = std::move(tls);
  impl_->ip = std::move(ip);
  impl_->port = port;
}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;

Status Client::connect(std::int64_t timeout_ms, std::stop_token stop) { return impl_->connect(timeout_ms, stop); }
void Client::close() { impl_->close(); }
void Client::begin_with(std::string bytes) { impl_->beginning = std::move(bytes); }
double Client::round_trip_s() const { return impl_->round_trip_s; }
std::optional<Clock::time_point> Client::heard_at() const { return impl_->heard; }

Result<Answer> Client::send(const Request& request, const SendLimits& limits, std::stop_token stop) {
  Answer out;
  const auto before = Clock::now();
  const bool fresh = !impl_->usable();
  BRAINLOCK_TRY(impl_->connect(limits.connect_timeout_ms, stop));
  if (fresh) out.connect_s = seconds(Clock::now() - before);
  impl_->stopped = false;

  http::request<http::span_body<const std::uint8_t>> message;
  message.version(11);
  message.method_string(request.method);
  message.target(request.target);
  message.set(http::field::host, impl_->ip + ":" + std::to_string(impl_->port));
  for (const auto& [name, value] : request.headers) message.insert(name, value);
  message.body() = {request.body.data(), request.body.size()};
  message.content_length(request.body.size());

  http::response_parser<http::vector_body<std::uint8_t>> parser;
  parser.header_limit(kMaxAnswerHeaderBytes);
  parser.body_limit(limits.max_answer_bytes);

  beast::error_code write_error, read_error = asio::error::operation_aborted;
  auto& connection = *impl_->stream();
  connection.expires_after(std::chrono::milliseconds(limits.total_timeout_ms));
  // Writing and reading run side by side: a server that refuses early answers while the body is still on its way.
  Clock::time_point sent{}, headers_at{}, done_at{};
  const auto start = Clock::now();
  const auto exchange = [&](auto& stream) {
    http::async_write(stream, message, [&](beast::error_code error, std::size_t) {
      write_error = error;
      sent = Clock::now();
    });
    http::async_read_header(stream, impl_->buffer, parser, [&](beast::error_code error, std::size_t) {
      read_error = error;
      headers_at = Clock::now();
      impl_->note(error);
      if (error) {
        if (error != asio::error::operation_aborted) connection.close();  // ends the writing too
        return;
      }
      http::async_read(stream, impl_->buffer, parser, [&](beast::error_code body_error, std::size_t) {
        read_error = body_error;
        done_at = Clock::now();
        impl_->note(body_error);
        if (sent == Clock::time_point{}) connection.close();  // answered before the request was whole
      });
    });
  };
  if (impl_->secure) exchange(*impl_->secure);
  else exchange(*impl_->plain);
  impl_->run(stop);

  const bool overdue = seconds(Clock::now() - start) * 1000 >= static_cast<double>(limits.total_timeout_ms);
  if (impl_->stopped || read_error) return impl_->failure("exchange with", read_error, overdue);
  auto answer = parser.release();
  out.status = static_cast<int>(answer.result_int());
  for (const auto& field : answer) out.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
  out.body = std::move(answer.body());
  out.response_s = seconds(done_at - start);
  out.first_byte_s = seconds(headers_at - start);
  out.send_s = sent == Clock::time_point{} ? out.response_s : seconds(sent - start);
  if (write_error || !answer.keep_alive()) impl_->close();
  return out;
}

}  // namespace brainlock::net
