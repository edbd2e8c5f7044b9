// One Greeter and then one Session a connection, each a chain of callbacks on a strand.
//
//   accept -> (PROXY header) -> (TLS handshake) -> header -> application.begin -> body ... -> exchange.complete -> (look ahead) -> write -> header ...
//                                                    |                 |                                   |
//                                                    +--- refusal -----+--> write -> linger -> close       +-- peer gone -> exchange.cancelled
#include "brainlock/net/server.hpp"

#include <boost/asio/strand.hpp>
#include <thread>

#include "greeter.hpp"

namespace brainlock::net {

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
    std::optional<Peer> peer;
    if (!shared->options.proxies.contains(ip)) peer = peer_of(ip);
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
  ServerCounters out{shared.accepted, shared.refused, shared.requests, shared.bad, shared.bad_proxy_headers, shared.timeouts, shared.cancelled, shared.in, shared.out, 0};
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
