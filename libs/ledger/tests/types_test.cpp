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

Metagraph subnet_of(std::size_t neurons, std::uint16_t least, std::uint16_t limit) {
  Metagraph metagraph;
  for (std::size_t uid = 0; uid < neurons; ++uid) {
    Neuron neuron;
    neuron.uid = static_cast<Uid>(uid);
    if (uid >= 3) neuron.axon = Axon{.ip = "192.0.2.1", .port = 5000};
    metagraph.neurons.push_back(neuron);
  }
  metagraph.parameters.min_allowed_weights = least;
  metagraph.parameters.max_weights_limit = limit;
  return metagraph;
}

TEST(FitVote, LeavesAloneWhatTheRulesTake) {
  const std::vector<Weight> vote{{3, 65535}, {4, 100}};
  EXPECT_EQ(fit_vote(vote, subnet_of(6, 1, 65535), 0), vote);
  EXPECT_EQ(fit_vote(vote, subnet_of(6, 2, 65535), 0), vote);
  EXPECT_TRUE(fit_vote({}, subnet_of(6, 4, 100), 0).empty());
}

TEST(FitVote, NamesAsManyAsTheSubnetWants) {
  EXPECT_EQ(fit_vote({{4, 65535}}, subnet_of(6, 3, 65535), 0), (std::vector<Weight>{{3, 1}, {4, 65535}, {5, 1}}));
  // Those without an address last, oneself never, nobody who is not there.
  EXPECT_EQ(fit_vote({{4, 65535}}, subnet_of(6, 4, 65535), 1), (std::vector<Weight>{{0, 1}, {3, 1}, {4, 65535}, {5, 1}}));
  EXPECT_EQ(fit_vote({{4, 65535}}, subnet_of(6, 64, 65535), 1).size(), 5u);
}

TEST(FitVote, NoWeightIsMoreThanItsShare) {
  const auto shares = [](const std::vector<Weight>& vote) {
    std::uint64_t total = 0, largest = 0;
    for (const Weight& weight : vote) {
      total += weight.value;
      largest = std::max<std::uint64_t>(largest, weight.value);
    }
    return std::pair(largest, total);
  };
  const std::vector<std::vector<Weight>> votes{{{0, 65535}, {1, 1}, {2, 1}, {3, 1}, {4, 1}},
                                               {{0, 65535}, {1, 65535}, {2, 10}, {3, 7}, {4, 3}},
                                               {{0, 65535}, {1, 30000}, {2, 20000}, {3, 10000}, {4, 5000}}};
  for (const unsigned limit : {13108u, 16384u, 20000u, 30000u, 65534u}) {
    for (const auto& vote : votes) {
      const auto fitted = fit_vote(vote, subnet_of(6, 1, static_cast<std::uint16_t>(limit)), 5);
      const auto [largest, total] = shares(fitted);
      EXPECT_LE(largest * 65535, limit * total) << limit;
      EXPECT_EQ(largest, 65535u);
      for (std::size_t i = 1; i < fitted.size(); ++i) EXPECT_LE(fitted[i].value, fitted[i - 1].value) << "the order stays";
    }
  }
  // In proportion: a third at most, and two others of 2 to 1.
  EXPECT_EQ(fit_vote({{0, 65535}, {1, 20000}, {2, 10000}, {3, 10000}}, subnet_of(6, 1, 65535 / 3), 5),
            (std::vector<Weight>{{0, 65535}, {1, 65535}, {2, 32768}, {3, 32768}}));
  // Nothing can be done about one neuron and a limit of a half.
  EXPECT_EQ(fit_vote({{0, 65535}}, subnet_of(1, 1, 32767), 5), (std::vector<Weight>{{0, 65535}}));
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
