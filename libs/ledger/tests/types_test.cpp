#include "brainlock/ledger/types.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "brainlock/ledger/ledger.hpp"

namespace brainlock::ledger {
namespace {

TEST(QuantiseWeights, ScalesTheLargestTo65535AndLeavesZerosOut) {
  const double scores[] = {0.0, 2.0, 1.0, 1e-9};
  EXPECT_EQ(quantise_weights(scores).value(), (std::vector<Weight>{{1, 65535}, {2, 32768}}));
}

TEST(QuantiseWeights, RoundsHalfToEven) {
  const double scores[] = {65535.0, 0.5, 1.5, 2.5};
  EXPECT_EQ(quantise_weights(scores).value(), (std::vector<Weight>{{0, 65535}, {2, 2}, {3, 2}}));
}

TEST(QuantiseWeights, NothingToSayIsEmpty) {
  EXPECT_TRUE(quantise_weights({}).value().empty());
  const double zeros[] = {0.0, 0.0};
  EXPECT_TRUE(quantise_weights(zeros).value().empty());
}

TEST(QuantiseWeights, RefusesWhatIsNoScore) {
  for (double bad : {-1.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    const double scores[] = {1.0, bad};
    EXPECT_EQ(quantise_weights(scores).error().code, ErrorCode::kInvalidArgument);
  }
  EXPECT_EQ(quantise_weights(std::vector<double>(65537, 1.0)).error().code, ErrorCode::kInvalidArgument);
}

TEST(Ip, CanonicalFormIsUnique) {
  EXPECT_EQ(canonical_ip("10.0.0.1").value(), "10.0.0.1");
  EXPECT_EQ(canonical_ip("2001:0DB8:0:0:0:0:0:1").value(), "2001:db8::1");
  for (const char* bad : {"", "localhost", "10.0.0", "10.0.0.256", "1.2.3.4:80", "[::1]", "0x7f.1", "::1%lo"}) {
    EXPECT_EQ(canonical_ip(bad).error().code, ErrorCode::kInvalidArgument) << bad;
  }
  EXPECT_FALSE(canonical_ip(std::string_view("1.2.3.4\0x", 9)).ok());
  EXPECT_FALSE(canonical_ip(std::string(5000, '1')).ok());
}

TEST(Ip, NonPublicAddressesAreKnown) {
  for (const char* inside : {"127.0.0.1",
                             "10.1.2.3",
                             "172.16.0.1",
                             "172.31.255.255",
                             "192.168.1.1",
                             "169.254.169.254",
                             "100.64.0.1",
                             "0.0.0.0",
                             "224.0.0.1",
                             "255.255.255.255",
                             "::",
                             "::1",
                             "fe80::1",
                             "fd00::1",
                             "ff02::1",
                             "::ffff:10.0.0.1",
                             "64:ff9b::7f00:1",
                             "2002:7f00:1::",
                             "2001:db8::1",
                             "example.org",
                             ""}) {
    EXPECT_TRUE(is_non_public_ip(inside)) << inside;
  }
  for (const char* outside : {"8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8"}) {
    EXPECT_FALSE(is_non_public_ip(outside)) << outside;
  }
}

Metagraph three_neurons() {
  Metagraph graph;
  graph.block = 500;
  graph.neurons.resize(3);
  for (Uid uid = 0; uid < 3; ++uid) {
    graph.neurons[uid].uid = uid;
    graph.neurons[uid].hotkey.fill(static_cast<std::uint8_t>(uid + 1));
    graph.neurons[uid].validator_permit = true;
    graph.neurons[uid].stake_rao = uid == 1 ? 9 : 4;
  }
  return graph;
}

TEST(Metagraph, FindsByKeyAndRanksByStakeThenUid) {
  Metagraph graph = three_neurons();
  AccountId key{};
  EXPECT_EQ(graph.find(key), nullptr);
  key.fill(2);
  ASSERT_NE(graph.find(key), nullptr);
  EXPECT_EQ(graph.find(key)->uid, 1);
  EXPECT_EQ(graph.validators_by_rank(), (std::vector<Uid>{1, 0, 2}));
  graph.neurons[0].validator_permit = false;
  EXPECT_EQ(graph.validators_by_rank(), (std::vector<Uid>{1, 2}));
}

TEST(Metagraph, CountsBlocksUntilTheNextVote) {
  Metagraph graph = three_neurons();
  EXPECT_EQ(graph.blocks_until_weights_allowed(0), 0U);  // never voted
  graph.neurons[0].last_update = 450;
  EXPECT_EQ(graph.blocks_until_weights_allowed(0), 50U);
  graph.neurons[0].last_update = 400;
  EXPECT_EQ(graph.blocks_until_weights_allowed(0), 0U);
  EXPECT_EQ(graph.blocks_until_weights_allowed(77), 0U);
}

TEST(Refusal, EveryValueHasItsOwnNameAndSentence) {
  std::set<std::string_view> names;
  std::set<std::string_view> sentences;
  for (int i = 0; i <= static_cast<int>(Refusal::kOther); ++i) {
    names.insert(refusal_name(static_cast<Refusal>(i)));
    sentences.insert(refusal_sentence(static_cast<Refusal>(i)));
  }
  EXPECT_EQ(names.size(), static_cast<std::size_t>(Refusal::kOther) + 1);
  EXPECT_EQ(sentences.size(), names.size());
  EXPECT_FALSE(names.contains("unknown"));
}

}  // namespace
}  // namespace brainlock::ledger
