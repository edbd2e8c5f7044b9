// Who may open one more connection, at chosen times.
#include "../src/doorkeeper.hpp"

#include <gtest/gtest.h>

namespace brainlock::net {
namespace {

using namespace std::chrono_literals;
using Time = Doorkeeper::Clock::time_point;

TEST(Doorkeeper, OneIPv6SubnetIsOneAddressHoweverManyItHas) {
  const ServerOptions options;
  Doorkeeper door(options);
  std::size_t in = 0;
  for (int i = 0; i < 10'000; ++i) in += door.admit(peer_of("2001:db8:1:2::" + std::to_string(i)), Time{} + 1s * i) ? 1 : 0;
  EXPECT_EQ(in, options.max_connections_per_address);
  // Other subnets of the site have room together as a network.
  for (int i = 0; i < 1000; ++i) in += door.admit(peer_of("2001:db8:1:" + std::to_string(1000 + i) + "::1"), Time{} + 1h + 1s * i) ? 1 : 0;
  EXPECT_EQ(in, options.max_connections_per_network);
  EXPECT_TRUE(door.admit(peer_of("2001:db8:9:2::1"), Time{} + 2h));
  door.leave(peer_of("2001:db8:1:2::77"));
  EXPECT_TRUE(door.admit(peer_of("2001:db8:1:2::78"), Time{} + 2h));
}

TEST(Doorkeeper, WhoAsksLikeAValidatorIsNeverTurnedAwayByTheRate) {
  const ServerOptions options;
  Doorkeeper door(options);
  // Sixty validators behind one address, each with eight connections at once, come within an hour.
  for (int second = 0; second < 3600; ++second) {
    if (second % 60 != 0) continue;
    const Peer peer = peer_of("198.51.100.7");
    for (int i = 0; i < 8; ++i) ASSERT_TRUE(door.admit(peer, Time{} + 1s * second));
    for (int i = 0; i < 8; ++i) door.leave(peer);
  }
}

TEST(Doorkeeper, StrangersShareARateAndWhoWasProvenHasNoPartInIt) {
  ServerOptions options;
  options.connections_per_s_of_strangers = 10;
  Doorkeeper door(options);
  const Peer known = peer_of("198.51.100.7");
  door.prove(known, Time{} + 1h);
  std::size_t in = 0;
  for (int i = 0; i < 1000; ++i) in += door.admit(peer_of("10." + std::to_string(i / 250) + "." + std::to_string(i % 250) + ".1"), Time{} + 2h) ? 1 : 0;
  EXPECT_EQ(in, 80u);
  EXPECT_TRUE(door.admit(known, Time{} + 2h));
  EXPECT_FALSE(door.admit(peer_of("198.51.101.7"), Time{} + 2h));
  for (int i = 0; i < 1000; ++i) door.admit(peer_of("11." + std::to_string(i / 250) + "." + std::to_string(i % 250) + ".1"), Time{} + 26h);
  EXPECT_FALSE(door.admit(known, Time{} + 26h)) << "a day later it is a stranger again";
}

TEST(Doorkeeper, ThisMachineHasNoRateUnlessToldSo) {
  ServerOptions options;
  for (const bool limited : {false, true}) {
    options.limit_loopback = limited;
    Doorkeeper door(options);
    int in = 0;
    for (int i = 0; i < 1000; ++i) {
      const Peer peer = peer_of("127.0.0.1");
      if (!door.admit(peer, Time{})) continue;
      ++in;
      door.leave(peer);
    }
    EXPECT_EQ(in, limited ? 64 : 1000);
  }
}

}  // namespace
}  // namespace brainlock::net
