// Which addresses are in a network, and which texts are none.
#include "brainlock/net/address_networks.hpp"

#include <gmock/gmock.h>

namespace brainlock::net {
namespace {

AddressNetworks of(const std::vector<std::string>& texts) { return AddressNetworks::parse(texts).value(); }

TEST(AddressNetworks, AnAddressIsItself) {
  const auto one = of({"10.0.0.7"});
  EXPECT_TRUE(one.contains("10.0.0.7"));
  EXPECT_FALSE(one.contains("10.0.0.6"));
  EXPECT_FALSE(one.contains("10.0.0.71"));
  const auto other = of({"2001:db8::7"});
  EXPECT_TRUE(other.contains("2001:DB8:0::7"));
  EXPECT_FALSE(other.contains("2001:db8::6"));
}

TEST(AddressNetworks, EveryNumberOfBitsCounts) {
  // Of each network the last address is in, and the one behind it is not.
  const std::tuple<std::string, std::string, std::string> cases[] = {
      {"128.0.0.0/1", "255.255.255.255", "127.255.255.255"}, {"10.0.0.0/8", "10.255.255.255", "11.0.0.0"},  {"10.0.0.0/9", "10.127.255.255", "10.128.0.0"},
      {"10.64.0.0/10", "10.127.0.1", "10.63.255.255"},       {"192.0.2.0/24", "192.0.2.255", "192.0.3.0"},  {"192.0.2.128/25", "192.0.2.200", "192.0.2.127"},
      {"192.0.2.6/31", "192.0.2.7", "192.0.2.8"},            {"192.0.2.7/32", "192.0.2.7", "192.0.2.6"},    {"8000::/1", "ffff::1", "7fff::1"},
      {"2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"},   {"2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::"},
      {"2001:db8::/64", "2001:db8::ffff:ffff:ffff:ffff", "2001:db8:0:1::"}, {"2001:db8::6/127", "2001:db8::7", "2001:db8::8"}, {"2001:db8::7/128", "2001:db8::7", "2001:db8::6"}};
  for (const auto& [network, inside, outside] : cases) {
    EXPECT_TRUE(of({network}).contains(network.substr(0, network.find('/')))) << network;
    EXPECT_TRUE(of({network}).contains(inside)) << network << " " << inside;
    EXPECT_FALSE(of({network}).contains(outside)) << network << " " << outside;
  }
}

TEST(AddressNetworks, OneOfSeveralIsEnoughAndNoneHasNobody) {
  const auto two = of({"10.0.0.0/8", "2001:db8::1"});
  EXPECT_TRUE(two.contains("10.1.2.3"));
  EXPECT_TRUE(two.contains("2001:db8::1"));
  EXPECT_FALSE(two.contains("11.1.2.3"));
  EXPECT_FALSE(two.empty());
  EXPECT_TRUE(AddressNetworks().empty());
  EXPECT_TRUE(of({}).empty());
  for (const std::string ip : {"0.0.0.0", "::", "10.1.2.3", "nobody", ""}) EXPECT_FALSE(AddressNetworks().contains(ip));
}

TEST(AddressNetworks, IPv4WithinIPv6IsIPv4AndFamiliesDoNotMix) {
  EXPECT_TRUE(of({"10.0.0.0/8"}).contains("::ffff:10.1.2.3"));
  EXPECT_FALSE(of({"10.0.0.0/8"}).contains("a00::1"));   // the same first bits
  EXPECT_FALSE(of({"a00::/8"}).contains("10.0.0.1"));
  EXPECT_FALSE(of({"::1"}).contains("127.0.0.1"));
  EXPECT_TRUE(of({"fe80::1"}).contains("fe80::1%2")) << "the system says at which of its interfaces";
  for (const std::string ip : {"", "nobody", "10.0.0", "10.0.0.256", "10.0.0.1 ", "10.0.0.0/8"}) EXPECT_FALSE(of({"10.0.0.0/8"}).contains(ip)) << ip;
}

TEST(AddressNetworks, WhatIsNoneIsNamedWithTheWayOut) {
  const std::pair<std::string, std::string> cases[] = {
      {"", "expected an address or a network"}, {"balancer.example.org", "expected an address or a network"}, {"10.0.0", "expected an address"}, {"010.0.0.1", "expected an address"},
      {"fe80::1%eth0", "expected an address"}, {"10.0.0.1 ", "expected an address"}, {"/8", "expected an address"}, {"10.0.0.1:5000", "expected an address"}, {"*", "expected an address"},
      {"10.0.0.1,10.0.0.2", "expected an address"}, {"10.0.0.0/", "1 to 32 bits"}, {"10.0.0.0/33", "1 to 32 bits"}, {"10.0.0.0/0", "1 to 32 bits"}, {"10.0.0.0/08", "1 to 32 bits"},
      {"10.0.0.0/-1", "1 to 32 bits"}, {"10.0.0.0/8/8", "1 to 32 bits"}, {"10.0.0.0/255.0.0.0", "1 to 32 bits"}, {"10.0.0.0/4294967304", "1 to 32 bits"}, {"2001:db8::/129", "1 to 128 bits"},
      {"10.0.0.7/8", "the network is 10.0.0.0/8, the address alone 10.0.0.7"}, {"2001:db8::7/64", "the network is 2001:db8::/64"}, {"10.128.0.0/8", "the network is 10.0.0.0/8"},
      {"0.0.0.0/0", "everybody"}, {"::/0", "everybody"}, {"0.0.0.0", "everybody"}, {"::", "everybody"}, {"0.0.0.0/1", "everybody"},
      {"::ffff:10.0.0.1", "IPv4 is written as 10.0.0.1"}, {"::ffff:10.0.0.0/104", "IPv4 is written as 10.0.0.0"}};
  for (const auto& [text, words] : cases) {
    const std::vector<std::string> texts{"10.0.0.1", text};
    const auto parsed = AddressNetworks::parse(texts);
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_EQ(parsed.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(parsed.error().message, testing::HasSubstr(words)) << text;
    EXPECT_THAT(parsed.error().message, testing::StartsWith(std::string("'").append(text).append("': ")));
  }
}

}  // namespace
}  // namespace brainlock::net
