// One Session a connection: a chain of callbacks on a strand.
//
//   accept -> (TLS handshake) -> header -> application.begin -> body ... -> exchange.complete -> (look ahead) -> write -> header ...
//                            |                 |                                   |
//                            +--- refusal -----+--> write -> linger -> close       +-- peer gone -> exchange.cancelled
#include "brainlock/net/server.hpp"

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/beast/core/detect_ssl.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/vector_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <condition_variable>
#include <limits>
#include <map>
#include <mutex>
#include <thread>

#include "doorkeeper.hpp"

namespace brainlock::net {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using Milliseconds = std::chrono::milliseconds;

namespace {

/// Bytes of an unwanted body that are read and dropped so that the peer sees the refusal instead of a reset.
constexpr std::uint64_t kLingerBytes = 1 << 20;
constexpr Milliseconds kLingerTime{2000};
constexpr std::size_t kPieceBytes = 64 * 1024;
/// Bytes of a next request that are taken in while an answer is made, in pieces.
constexpr std::size_t kAheadBytes = 16 * 1024, kAheadPieceBytes = 4 * 1024;

/// An accepted connection, whatever it is speaking. Leaves Shared::sessions when it closes.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  virtual ~Connection() = default;
  /// From another thread: close at once.
  virtual void kill() = 0;

  // Under Shared::mutex.
  bool proven = false;               ///< the application has taken a request of it, so it makes no room for others
  std::uint64_t number = 0;          ///< in the order of acceptance
  bool condemned = false;            ///< kill() was called
};

/// Between an answer that comes from another thread and a server that is being destroyed.
struct Gate {
  std::mutex mutex;
  bool open = true;
};

/// What sessions share. Outlives them: each holds a reference.
struct Shared {
  explicit Shared(const ServerOptions& given) : options(given), door(options) {}

  const std::shared_ptr<Gate> gate = std::make_shared<Gate>();
  ServerOptions options;
  std::shared_ptr<Application> application;
  std::atomic<std::uint64_t> accepted{0}, refused{0}, requests{0}, bad{0}, timeouts{0}, cancelled{0}, in{0}, out{0};
  std::atomic<bool> stopping{false};
  std::optional<asio::ssl::context> tls;   ///< what a connection that begins with a TLS greeting is served with

  std::mutex mutex;
  std::condition_variable idle;
  Doorkeeper door;
  std::map<Connection*, std::shared_ptr<Connection>> sessions;   ///< the open ones; each leaves when it closes
  std::size_t connections = 0;
  std::size_t ordinary = 0;  ///< connections that stay and on which nobody but ordinary askers asked
  std::size_t working = 0;   ///< requests between begin() and the end of their answer
  std::uint64_t numbers = 0;

  /// Whoever opens connections and says nothing must not keep out those who do: of those that are not proven the oldest makes room.
  bool evict_locked() {
    Connection* oldest = nullptr;
    for (const auto& [pointer, connection] : sessions) {
      if (!pointer->proven && !pointer->condemned && (oldest == nullptr || pointer->number < oldest->number)) oldest = pointer;
    }
    if (oldest == nullptr) return false;
    oldest->condemned = true;
    oldest->kill();   // a moment later: until then there is one connection too many
    ++refused;
    return true;
  }
  bool admit(const Peer& peer) {
    const std::lock_guard lock(mutex);
    if (!door.admit(peer)) return false;
    if (connections >= options.max_connections && !evict_locked()) {
      door.leave(peer);
      return false;
    }
    ++connections;
    return true;
  }
  void leave(const Peer& peer, bool is_ordinary) {
    const std::lock_guard lock(mutex);
    --connections;
    if (is_ordinary) --ordinary;
    door.leave(peer);
    idle.notify_all();
  }
  void work(int change) {
    const std::lock_guard lock(mutex);
    working += static_cast<std::size_t>(change);
    idle.notify_all();
  }
  [[nodiscard]] Milliseconds transfer_time(std::uint64_t bytes) const {
    return Milliseconds(options.body_grace_ms + static_cast<std::int64_t>(bytes / std::max<std::uint64_t>(1, options.min_bytes_per_s / 1000)));
  }
};

/// One connection's place among those that are allowed.
struct Seat {
  const std::shared_ptr<Shared> shared;
  const std::string ip;
  const Peer peer;
  bool ordinary = false;   ///< counted in Shared::ordinary, and under its mutex
  Seat(std::shared_ptr<Shared> of, std::string address, Peer who) : shared(std::move(of)), ip(std::move(address)), peer(std::move(who)) {}
  Seat(const Seat&) = delete;
  ~Seat() { shared->leave(peer, ordinary); }
};

void keep(Shared& shared, const std::shared_ptr<Connection>& connection) {
  const std::lock_guard lock(shared.mutex);
  connection->number = ++shared.numbers;
  shared.sessions[connection.get()] = connection;
}
/// `to` goes on with the connection of `from`: at its place, and to the same end.
void hand_on(Shared& shared, Connection* from, const std::shared_ptr<Connection>& to) {
  const std::lock_guard lock(shared.mutex);
  to->number = from->number;
  to->condemned = from->condemned;
  shared.sessions.erase(from);
  shared.sessions[to.get()] = to;
  if (to->condemned) to->kill();
}
void forget(Shared& shared, Connection* connection) {
  const std::lock_guard lock(shared.mutex);
  shared.sessions.erase(connection);  // the caller holds a reference
}

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
    if (!std::exchange(asked_, true)) shared_->door.prove(seat_->peer);
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

/// Looks at a connection's first bytes: TLS or plain HTTP.
class Greeter final : public Connection {
 public:
  Greeter(tcp::socket socket, std::unique_ptr<Seat> seat)
      : stream_(std::move(socket)), executor_(stream_.get_executor()), seat_(std::move(seat)), shared_(seat_->shared) {}

  void start() {
    asio::post(stream_.get_executor(), [self = me()] {
      if (!self->shared_->tls) return self->hand_over(false);
      self->stream_.expires_after(Milliseconds(self->shared_->options.header_timeout_ms));
      beast::async_detect_ssl(self->stream_, self->buffer_, [self](beast::error_code error, bool tls) {
        if (error == beast::error::timeout) ++self->shared_->timeouts;
        if (error) return self->close();
        self->hand_over(tls);
      });
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
    stream_.close();
    forget(*shared_, this);
  }

  beast::tcp_stream stream_;
  const asio::any_io_executor executor_;
  std::unique_ptr<Seat> seat_;
  const std::shared_ptr<Shared> shared_;
  beast::flat_buffer buffer_{64 * 1024};
};

}  // namespace

struct Server::Impl {
  explicit Impl(const ServerOptions& options) : shared(std::make_shared<Shared>(options)) {}

  std::shared_ptr<Shared> shared;
  asio::io_context context;
  tcp::acceptor acceptor{context};
  std::vector<std::jthread> threads;
  std::uint16_t port = 0;
  bool stopped = false;

  void accept() {
    acceptor.async_accept(asio::make_strand(context), [this](beast::error_code error, tcp::socket socket) {
      if (error == asio::error::operation_aborted) return;
      if (!error) take(std::move(socket));
      // Out of descriptors: the kernel would hand us the same failure at once, without end.
      if (error) std::this_thread::sleep_for(Milliseconds(20));
      if (acceptor.is_open()) accept();
    });
  }

  void take(tcp::socket socket) {
    beast::error_code error;
    const auto from = socket.remote_endpoint(error);
    if (error) return;
    const std::string ip = from.address().to_string();
    const Peer peer = peer_of(ip);
    if (!shared->admit(peer)) {
      ++shared->refused;
      return;
    }
    ++shared->accepted;
    const auto greeter = std::make_shared<Greeter>(std::move(socket), std::make_unique<Seat>(shared, ip, peer));
    keep(*shared, greeter);
    greeter->start();
  }
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() { stop(0); }

Result<std::unique_ptr<Server>> Server::start(const ServerOptions& options, std::shared_ptr<Application> application) {
  beast::error_code error;
  const auto address = asio::ip::make_address(options.address, error);
  if (error) return {ErrorCode::kInvalidArgument, "not an IP address to listen on: " + options.address};
  auto impl = std::make_unique<Impl>(options);
  impl->shared->application = std::move(application);
  if (options.tls) {
    auto& tls = impl->shared->tls.emplace(asio::ssl::context::tlsv13_server);
    tls.use_certificate(asio::buffer(options.tls->certificate_pem), asio::ssl::context::pem, error);
    if (!error) tls.use_private_key(asio::buffer(options.tls->key_pem), asio::ssl::context::pem, error);
    if (error) return {ErrorCode::kInvalidArgument, "not a certificate and its key: " + error.message()};
    ::SSL_CTX_set_num_tickets(tls.native_handle(), 0);  // sessions are not resumed
    impl->shared->options.tls.reset();                  // the text of the key is not needed any more
  }
  const tcp::endpoint endpoint(address, options.port);
  const auto failed = [&](const char* step) {
    return Error{ErrorCode::kUnavailable, std::string(step) + " " + options.address + ":" + std::to_string(options.port) + ": " + error.message()};
  };
  impl->acceptor.open(endpoint.protocol(), error);
  if (error) return failed("open");
  impl->acceptor.set_option(asio::socket_base::reuse_address(true), error);
  impl->acceptor.bind(endpoint, error);
  if (error) return failed("bind");
  impl->acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) return failed("listen");
  impl->port = impl->acceptor.local_endpoint(error).port();
  if (error) return failed("listen");
  impl->accept();
  for (unsigned i = 0; i < std::max(1U, options.threads); ++i) {
    impl->threads.emplace_back([context = &impl->context] { context->run(); });
  }
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

std::uint16_t Server::port() const { return impl_->port; }

ServerCounters Server::counters() const {
  Shared& shared = *impl_->shared;
  ServerCounters out{shared.accepted, shared.refused, shared.requests, shared.bad, shared.timeouts, shared.cancelled, shared.in, shared.out, 0};
  const std::lock_guard lock(shared.mutex);
  out.connections = shared.connections;
  return out;
}

void Server::stop(std::int64_t drain_ms) {
  if (impl_->stopped) return;
  impl_->stopped = true;
  Shared& shared = *impl_->shared;
  shared.stopping = true;
  asio::post(impl_->context, [impl = impl_.get()] {
    beast::error_code ignored;
    impl->acceptor.close(ignored);
  });
  std::vector<std::shared_ptr<Connection>> open;
  {
    std::unique_lock lock(shared.mutex);
    shared.idle.wait_for(lock, Milliseconds(drain_ms), [&shared] { return shared.working == 0; });
    for (const auto& [pointer, session] : shared.sessions) {
      session->condemned = true;
      open.push_back(session);
    }
  }
  for (const auto& session : open) session->kill();
  open.clear();
  {
    std::unique_lock lock(shared.mutex);
    shared.idle.wait_for(lock, Milliseconds(500), [&shared] { return shared.connections == 0; });
  }
  impl_->context.stop();
  impl_->threads.clear();
  const std::lock_guard lock(shared.gate->mutex);
  shared.gate->open = false;
  std::map<Connection*, std::shared_ptr<Connection>> rest;
  {
    const std::lock_guard sessions_lock(shared.mutex);
    rest.swap(shared.sessions);
  }
}

}  // namespace brainlock::net
