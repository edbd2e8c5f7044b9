// Which addresses count as one peer.
#pragma once

#include <string>
#include <string_view>

namespace brainlock::net {

/// A peer by what it has a share of limits for. Whoever has one IPv6 address has 2^64 of them, and a /24 costs little.
struct Peer {
  std::string address;     ///< the IPv4 address, or the /64 of an IPv6 one
  std::string network;     ///< the /24, or the /48
  bool loopback = false;
};

/// From an address as text; IPv4 within IPv6 (::ffff:1.2.3.4) counts as IPv4. What is no address stands for itself.
Peer peer_of(std::string_view ip);

}  // namespace brainlock::net
