#include "brainlock/ledger/schedule.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace brainlock::ledger {
namespace {

/// `validators` neurons with permits at uids that are multiples of `stride`, miners everywhere else.
Metagraph make_subnet(std::size_t size, std::size_t validators, std::size_t stride) {
  Metagraph metagraph;
  for (std::size_t uid = 0; uid < size; ++uid) {
    Neuron neuron;
    neuron.uid = static_cast<Uid>(uid);
    if (uid % stride == 0 && uid / stride < validators) {
      neuron.validator_permit = true;
      neuron.active = true;
      neuron.stake_rao = 1000 + uid * 7919 % 100;
    } else {
      neuron.axon = Axon{.ip = "192.0.2.1", .port = 5000};
    }
    metagraph.neurons.push_back(neuron);
  }
  return metagraph;
}

TEST(Schedule, EveryMinerHasExactlyOneValidatorInEverySlotAndMeetsAllInTurn) {
  for (const std::size_t validators : {1, 2, 3, 7, 17}) {
    // Uids 0, 17, 34, ...: modulo 17 they are all the same.
    auto metagraph = make_subnet(300, validators, 17);
    const auto miners = miners_of(metagraph);
    ASSERT_EQ(miners.size(), 300 - validators);
    std::map<Uid, std::set<Uid>> met;
    for (std::uint64_t slot = 0; slot < validators; ++slot) {
      metagraph.block = slot * 30 + 11;
      std::map<Uid, int> asked;
      for (const Uid validator : metagraph.validators_by_rank()) {
        for (const Uid miner : miners_in_slot(metagraph, validator, 30)) {
          ASSERT_EQ(validator_in_slot(metagraph, miner, 30), validator);   // the miner sees it alike
          ++asked[miner];
          met[miner].insert(validator);
        }
      }
      ASSERT_EQ(asked.size(), miners.size());
      for (const auto& [miner, times] : asked) ASSERT_EQ(times, 1) << miner;
    }
    for (const auto& [miner, who] : met) ASSERT_EQ(who.size(), validators) << miner;
  }
}

TEST(Schedule, SharesAreEven) {
  auto metagraph = make_subnet(256, 16, 3);
  for (const Uid validator : metagraph.validators_by_rank()) {
    EXPECT_EQ(miners_in_slot(metagraph, validator, 30).size(), 240u / 16);
  }
}

TEST(Schedule, PermitsWithoutVotesHaveNoShare) {
  auto metagraph = make_subnet(100, 10, 10);
  for (std::size_t uid = 0; uid < 80; uid += 10) metagraph.neurons[uid].active = false;
  std::set<Uid> asked;
  for (const Uid validator : std::initializer_list<Uid>{80, 90}) {
    for (const Uid miner : miners_in_slot(metagraph, validator, 30)) EXPECT_TRUE(asked.insert(miner).second);
  }
  EXPECT_EQ(asked.size(), 90u);
  // One that has yet to vote for the first time begins somewhere.
  EXPECT_FALSE(miners_in_slot(metagraph, 0, 30).empty());
}

TEST(Schedule, WithoutPermitNobodyIsAskedAndAloneEverybodyIs) {
  auto metagraph = make_subnet(10, 1, 1);
  EXPECT_TRUE(miners_in_slot(metagraph, 5, 30).empty());
  EXPECT_TRUE(miners_in_slot(metagraph, 5, 0).empty());
  EXPECT_EQ(miners_in_slot(metagraph, 0, 0).size(), 9u);
}

TEST(Schedule, AValidatorThatServesIsNotAskedByItself) {
  auto metagraph = make_subnet(4, 1, 1);
  metagraph.neurons[0].axon = Axon{.ip = "192.0.2.1", .port = 5000};
  EXPECT_EQ(miners_in_slot(metagraph, 0, 0), (std::vector<Uid>{1, 2, 3}));
}

}  // namespace
}  // namespace brainlock::ledger
