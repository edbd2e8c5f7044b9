// Which addresses share a limit.
#include "brainlock/net/peer.hpp"

#include <gtest/gtest.h>

namespace brainlock::net {
namespace {

TEST(Peer, AnIPv4AddressCountsForItselfAndItsNetworkOf256) {
  const Peer peer = peer_of("198.51.100.77");
  EXPECT_EQ(peer.address, "198.51.100.77");
  EXPECT_EQ(peer.network, "198.51.100.0/24");
  EXPECT_EQ(peer_of("198.51.100.78").network, peer.network);
  EXPECT_NE(peer_of("198.51.101.77").network, peer.network);
}

TEST(Peer, AnIPv6AddressCountsForItsSubnetAndItsSite) {
  const Peer peer = peer_of("2001:db8:1:2:3:4:5:6");
  EXPECT_EQ(peer.address, "2001:db8:1:2::/64");
  EXPECT_EQ(peer.network, "2001:db8:1::/48");
  EXPECT_EQ(peer_of("2001:db8:1:2:ffff::1").address, peer.address);
  EXPECT_NE(peer_of("2001:db8:1:3::1").address, peer.address);
  EXPECT_EQ(peer_of("2001:db8:1:3::1").network, peer.network);
  EXPECT_NE(peer_of("2001:db8:2::1").network, peer.network);
  EXPECT_EQ(peer_of("fe80::1%1").address, peer_of("fe80::2").address);
}

TEST(Peer, IPv4WithinIPv6IsIPv4) {
  EXPECT_EQ(peer_of("::ffff:198.51.100.77").address, "198.51.100.77");
  EXPECT_EQ(peer_of("::ffff:198.51.100.77").network, "198.51.100.0/24");
  EXPECT_TRUE(peer_of("::ffff:127.0.0.1").loopback);
}

TEST(Peer, ThisMachineIsKnown) {
  EXPECT_TRUE(peer_of("127.0.0.1").loopback);
  EXPECT_TRUE(peer_of("127.1.2.3").loopback);
  EXPECT_TRUE(peer_of("::1").loopback);
  EXPECT_FALSE(peer_of("10.0.0.1").loopback);
  EXPECT_FALSE(peer_of("no address").loopback);
  EXPECT_EQ(peer_of("no address").address, "no address");
}

}  // namespace
}  // namespace brainlock::net
