// An HTTP/1.1 client of one server, with a stop-watch.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>

#include "brainlock/base/result.hpp"
#include "brainlock/net/http.hpp"
#include "brainlock/net/tls.hpp"

namespace brainlock::net {

struct Request {
  std::string method = "GET";
  std::string target = "/";
  Headers headers;                       ///< Host, Content-Length are added
  std::span<const std::uint8_t> body;    ///< must live until send() returns
};

struct SendLimits {
  std::int64_t connect_timeout_ms = 5'000;
  std::int64_t total_timeout_ms = 60'000;    ///< after the connection stands
  std::uint64_t max_answer_bytes = 64 * 1024;
};

/// A whole answer with its times.
struct Answer {
  int status = 0;
  Headers headers;
  std::vector<std::uint8_t> body;
  double response_s = 0;        ///< first byte of the request sent -> last byte of the answer received
  double connect_s = 0;         ///< making of the connection; 0 where one was there
  double send_s = 0;            ///< first to last byte of the request
  double first_byte_s = 0;      ///< first byte sent -> headers of the answer received
};

/// Holds one connection and makes it anew when needed. One thread at a time.
class Client {
 public:
  /// With a check: TLS 1.3, and only with a server that passes it. kDenied where one does not.
  Client(std::string ip, std::uint16_t port, TlsPeerCheck tls = {});
  ~Client();
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;

  /// What each connection from now on begins with, before TLS: the header of a proxy (proxy_header.hpp), for a server that takes this machine for one.
  void begin_with(std::string bytes);
  /// Connects now, so that a later send() need not. kUnavailable, kTimeout, kCancelled,
  /// kDenied (another server than the expected one).
  Status connect(std::int64_t timeout_ms, std::stop_token stop = {});
  /// Sends and reads the whole answer, whatever its status. Never sends twice: a broken connection is kUnavailable and the
  /// caller decides. kTimeout, kCancelled, kTooLarge (the answer), kMalformed (not HTTP).
  Result<Answer> send(const Request& request, const SendLimits& limits, std::stop_token stop = {});
  void close();
  /// How long the other side's machine took to take the connection that there is, TLS not counted: a round trip, which its program has no part in. 0: none.
  [[nodiscard]] double round_trip_s() const;
  /// When the other side was last heard, whatever it said: it took or refused a connection, answered, closed. Nothing: never.
  [[nodiscard]] std::optional<std::chrono::steady_clock::time_point> heard_at() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace brainlock::net
