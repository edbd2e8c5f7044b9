// Who may open one more connection. Counts; the server holds the connections themselves.
#pragma once

#include <map>
#include <string>

#include "brainlock/net/peer.hpp"
#include "brainlock/net/rate_limiter.hpp"
#include "brainlock/net/server.hpp"

namespace brainlock::net {

/// One thread at a time. The options outlive it.
class Doorkeeper {
 public:
  using Clock = RateLimiter::Clock;
  explicit Doorkeeper(const ServerOptions& options);

  /// Counts the connection in, or says no.
  bool admit(const Peer& peer, Clock::time_point now = Clock::now());
  /// For each that was counted in.
  void leave(const Peer& peer);
  /// The application has taken a request of it.
  void prove(const Peer& peer, Clock::time_point now = Clock::now());

 private:
  [[nodiscard]] std::size_t held(const std::string& name) const;
  [[nodiscard]] bool stranger(const Peer& peer, Clock::time_point now);

  const ServerOptions& options_;
  std::map<std::string, std::size_t> held_;   ///< by address and by network: their names differ
  RateLimiter of_address_, of_network_, of_strangers_;
  RecentTable<Clock::time_point> proven_;     ///< addresses, and when last
};

}  // namespace brainlock::net
