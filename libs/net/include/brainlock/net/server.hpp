// An HTTP/1.1 server that spends nothing on a peer before it has asked the application.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <variant>

#include "brainlock/base/result.hpp"
#include "brainlock/net/address_networks.hpp"
#include "brainlock/net/browser_origins.hpp"
#include "brainlock/net/event_log.hpp"
#include "brainlock/net/http.hpp"
#include "brainlock/net/tls.hpp"

namespace brainlock::net {

/// Gives the answer; from any thread, once. Later calls do nothing, nor does one after the peer or the server is gone.
using Respond = std::function<void(Response)>;

/// One request whose head was accepted. Calls come one after another, from the server's threads; they must not block for
/// long. Destroyed after the answer was sent or the peer is gone.
class Exchange {
 public:
  virtual ~Exchange() = default;
  /// The next bytes of the body. An answer here refuses the rest of it.
  virtual std::optional<Response> body(std::span<const std::uint8_t> bytes) = 0;
  /// The body is whole. Answer now or later.
  virtual void complete(Respond respond) = 0;
  /// The peer went away, or was too slow: nobody waits for the answer. May come at any time after begin(), also beside a
  /// running respond().
  virtual void cancelled() {}
  /// Whether the asker's account costs nothing. Connections of such askers hold half of all places at most; one beyond that makes room like one
  /// whose requests were all refused.
  [[nodiscard]] virtual bool ordinary() const { return false; }
};

/// What the server asks. begin() is called from several threads at once.
class Application {
 public:
  virtual ~Application() = default;
  /// Judges a head: an answer at once (the body is not read), or an exchange that takes the body.
  virtual std::variant<Response, std::unique_ptr<Exchange>> begin(const RequestHead& head) = 0;
};

struct ServerOptions {
  std::string address = "0.0.0.0";
  std::uint16_t port = 0;                       ///< 0: any free one
  unsigned threads = 2;
  std::size_t max_connections = 512;            ///< beyond that a new one takes the place of the oldest whose requests were all refused, or that made none
  std::size_t max_connections_per_address = 64; ///< an IPv4 address, or the /64 of an IPv6 one
  std::size_t max_connections_per_network = 128;  ///< a /24, or a /48
  /// New connections a second in the long run; so many seconds' worth may come at once. Beyond that they are closed before a byte is read or a
  /// TLS handshake begun, which costs a server more than its peer.
  double connections_per_s_per_address = 8;
  double connections_per_s_per_network = 32;
  double connections_per_s_of_strangers = 400;    ///< all together: those of whose address no request was taken within a day
  double connection_burst_s = 8;
  bool limit_loopback = false;                    ///< whether rates and limits of networks hold for this machine's own addresses too: nobody else has one
  std::size_t max_header_bytes = 16 * 1024;
  std::int64_t header_timeout_ms = 10'000;      ///< from accepting a connection, or from the last answer
  std::int64_t body_grace_ms = 10'000;          ///< a body may take this long, and
  std::uint64_t min_bytes_per_s = 64 * 1024;    ///< in addition its length at this rate; answers likewise
  std::optional<TlsIdentity> tls = {};          ///< serves TLS 1.3 too, on the same port: the first byte tells
  BrowserAccess browsers = {};                  ///< pages that may read answers, refusals of the server's own too; none: no answer has a word for browsers
  /// Connections from here must begin with a PROXY header (proxy_header.hpp), within the time of a header; limits and RequestHead::peer_ip are then of the address
  /// in it. Before it has come they count among all, and against no address. From elsewhere such a header is no HTTP. An address in it is never this machine's own:
  /// it has all limits.
  AddressNetworks proxies = {};
  EventLog log = {};                            ///< `proxy_header` (reason, proxy): a proxy's connection that began otherwise was closed
};

/// What happened so far; all counters only grow but `connections`.
struct ServerCounters {
  std::uint64_t accepted = 0;
  std::uint64_t refused_connections = 0;   ///< over a limit: closed without a word, or to make room
  std::uint64_t requests = 0;
  std::uint64_t bad_requests = 0;          ///< not HTTP, or headers too large
  std::uint64_t bad_proxy_headers = 0;     ///< of proxies: connections that began with none, or with one that does not hold
  std::uint64_t timeouts = 0;
  std::uint64_t cancelled = 0;             ///< peers that did not wait for their answer
  std::uint64_t bytes_in = 0, bytes_out = 0;  ///< of bodies
  std::uint64_t connections = 0;           ///< now
};

/// Listens from start() to stop(). Threads of its own.
class Server {
 public:
  /// kUnavailable (port taken), kInvalidArgument (address).
  static Result<std::unique_ptr<Server>> start(const ServerOptions& options, std::shared_ptr<Application> application);
  /// stop(0).
  ~Server();

  [[nodiscard]] std::uint16_t port() const;
  [[nodiscard]] ServerCounters counters() const;
  /// Takes no more connections, waits at most `drain_ms` for requests in work, closes everything.
  void stop(std::int64_t drain_ms);

  struct Impl;

 private:
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace brainlock::net
