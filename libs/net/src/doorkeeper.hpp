// Who may open one more connection. Counts; the server holds the connections themselves.
#pragma once

#include <map>
#include <string>

#include "brainlock/net/peer.hpp"
#include "brainlock/net/server.hpp"

namespace brainlock::net {

/// One thread at a time.
class Doorkeeper {
 public:
  explicit Doorkeeper(const ServerOptions& options) : options_(options) {}

  /// Counts the connection in, or says no.
  bool admit(const Peer& peer) {
    if (held(peer.address) >= options_.max_connections_per_address) return false;
    if ((!peer.loopback || options_.limit_loopback) && held(peer.network) >= options_.max_connections_per_network) return false;
    ++held_[peer.address];
    ++held_[peer.network];
    return true;
  }
  /// For each that was counted in.
  void leave(const Peer& peer) {
    for (const auto* name : {&peer.address, &peer.network}) {
      if (--held_[*name] == 0) held_.erase(*name);
    }
  }

 private:
  [[nodiscard]] std::size_t held(const std::string& name) const {
    const auto at = held_.find(name);
    return at == held_.end() ? 0 : at->second;
  }

  const ServerOptions& options_;
  std::map<std::string, std::size_t> held_;   ///< by address and by network: their names differ
};

}  // namespace brainlock::net
