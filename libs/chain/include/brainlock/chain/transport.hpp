// The seam between the chain client and the network: ask once, or listen.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "brainlock/base/result.hpp"

namespace brainlock::chain {

using Milliseconds = std::chrono::milliseconds;

/// What a node answered in place of a result. Nodes differ in how much they say: code and data may be missing.
struct RpcError {
  std::optional<std::int64_t> code;
  std::string message;
  std::string data;
};

/// A node's answer to one request: JSON text of the result, or its error. An error here means that the node works.
struct RpcReply {
  std::string result = "null";
  std::optional<RpcError> error;
};

/// Notifications of one subscription, in order. Ends the subscription when destroyed.
class Subscription {
 public:
  virtual ~Subscription() = default;
  /// JSON text of the next notification's result. kTimeout when none came in time (the subscription goes on);
  /// kUnavailable when the connection is gone (it does not).
  [[nodiscard]] virtual Result<std::string> next(Milliseconds timeout) = 0;
};

struct SubscribeReply {
  std::unique_ptr<Subscription> subscription;  ///< null when the node refused
  std::optional<RpcError> error;
};

/// A connection to a chain node, or several tried in turn. Safe from many threads. Errors: kTimeout, kUnavailable
/// (connection refused, lost or closed), kMalformed (not JSON-RPC), kTooLarge, kInsecure (certificate), kUnsupported.
class Transport {
 public:
  virtual ~Transport() = default;
  /// `params` is the JSON text of an array.
  [[nodiscard]] virtual Result<RpcReply> request(std::string_view method, std::string_view params,
                                                 Milliseconds timeout) = 0;
  [[nodiscard]] virtual Result<SubscribeReply> subscribe(std::string_view method, std::string_view params,
                                                         std::string_view unsubscribe_method, Milliseconds timeout) = 0;
  /// Where it leads, for people.
  [[nodiscard]] virtual std::string describe() const = 0;
};

/// A node's address.
struct Endpoint {
  bool websocket = true;
  bool tls = false;
  std::string host;
  std::string port;
  std::string path = "/";

  /// Host and port as in URLs and Host headers: an IPv6 address stands in brackets.
  [[nodiscard]] std::string authority() const;
  [[nodiscard]] std::string url() const;
};

/// Reads ws://, wss://, http:// or https:// URLs, or a network's name: "finney", "test", "local".
[[nodiscard]] Result<Endpoint> parse_endpoint(std::string_view text);

/// Connects to one endpoint: WebSocket (requests and subscriptions on one connection) or HTTP POST (requests only, a
/// connection each). Certificates are checked against the system's store and the host name.
[[nodiscard]] Result<std::unique_ptr<Transport>> connect(const Endpoint& endpoint, Milliseconds timeout);

/// How a connection is made; tests put their own in.
using Connector = std::function<Result<std::unique_ptr<Transport>>(const Endpoint&, Milliseconds)>;

struct ReconnectOptions {
  int attempts = 4;                      ///< in all, over all endpoints, for one request
  Milliseconds first_delay{250};         ///< doubled after each failure
  Milliseconds longest_delay{10'000};
  Milliseconds connect_timeout{15'000};
  Connector connector = connect;
  std::function<void(Milliseconds)> sleep;  ///< the real one when left out
};

/// A transport that connects on first use, and after a failure to the next endpoint with growing delays. Requests that
/// change the chain (author_*) are never sent twice: their failure is the caller's to resolve.
[[nodiscard]] std::unique_ptr<Transport> make_reconnecting(std::vector<Endpoint> endpoints, ReconnectOptions options = {});

/// Comma-separated endpoints or network names, one at least.
[[nodiscard]] Result<std::vector<Endpoint>> parse_endpoints(std::string_view text);
/// Convenience: a reconnecting transport over parse_endpoints().
[[nodiscard]] Result<std::unique_ptr<Transport>> open_transport(std::string_view endpoints);

/// What the clock of a node's HTTP server says: the Date header of its answer to a small request, whatever else it answers. Whole seconds.
struct ServerDate {
  std::int64_t unix_ms = 0;
  std::int64_t asked_ms = 0, answered_ms = 0;   ///< this machine's clock before and after
};
/// kNotFound where the answer has no date; otherwise errors as of a Transport.
[[nodiscard]] Result<ServerDate> read_server_date(const Endpoint& endpoint, Milliseconds timeout);

}  // namespace brainlock::chain
