#include "doorkeeper.hpp"

namespace brainlock::net {
namespace {

constexpr std::size_t kMostProven = 10'000;
constexpr std::chrono::hours kProvenFor{24};

}  // namespace

Doorkeeper::Doorkeeper(const ServerOptions& options)
    : options_(options),
      of_address_(options.connections_per_s_per_address, options.connections_per_s_per_address * options.connection_burst_s),
      of_network_(options.connections_per_s_per_network, options.connections_per_s_per_network * options.connection_burst_s),
      of_strangers_(options.connections_per_s_of_strangers, options.connections_per_s_of_strangers * options.connection_burst_s),
      proven_(kMostProven) {}

bool Doorkeeper::admit(const Peer& peer, Clock::time_point now) {
  if (held(peer.address) >= options_.max_connections_per_address) return false;
  if (!peer.loopback || options_.limit_loopback) {
    if (held(peer.network) >= options_.max_connections_per_network) return false;
    if (!of_address_.allow(peer.address, now) || !of_network_.allow(peer.network, now)) return false;
    if (stranger(peer, now) && !of_strangers_.allow("", now)) return false;
  }
  ++held_[peer.address];
  ++held_[peer.network];
  return true;
}

void Doorkeeper::leave(const Peer& peer) {
  for (const auto* name : {&peer.address, &peer.network}) {
    if (--held_[*name] == 0) held_.erase(*name);
  }
}

void Doorkeeper::prove(const Peer& peer, Clock::time_point now) { proven_.touch(peer.address, now) = now; }

std::size_t Doorkeeper::held(const std::string& name) const {
  const auto at = held_.find(name);
  return at == held_.end() ? 0 : at->second;
}

bool Doorkeeper::stranger(const Peer& peer, Clock::time_point now) {
  const auto* at = proven_.find(peer.address);
  return at == nullptr || now - *at > kProvenFor;
}

}  // namespace brainlock::net
