#include "brainlock/ledger/yuma.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace brainlock::ledger {
namespace {

/// `validators` permitted neurons with equal stake, then `miners` without stake; everyone registered at block 1 and
/// updated at block 50; the epoch is at block 100.
EpochInput subnet(std::size_t validators, std::size_t miners) {
  EpochInput input;
  input.block = 100;
  input.parameters.tempo = 20;
  input.emission_rao = 1'000'000'000;
  input.neurons.resize(validators + miners);
  for (std::size_t i = 0; i < input.neurons.size(); ++i) {
    input.neurons[i].registered_at = 1;
    input.neurons[i].last_update = 50;
    if (i < validators) {
      input.neurons[i].stake_rao = 1000 * kRaoPerTao;
      input.neurons[i].validator_permit = true;
    }
  }
  return input;
}

std::vector<std::uint16_t> incentives(const std::vector<EpochShare>& shares) {
  std::vector<std::uint16_t> out;
  for (const auto& share : shares) out.push_back(share.incentive);
  return out;
}

// Known answer of a genuine runtime (specification 293): four neurons, uid 1 holds all stake and votes {2: 65535, 3:
// 32768}.
TEST(Yuma, MatchesTheGenuineRuntime) {
  EpochInput input;
  input.block = 100;
  input.parameters.tempo = 10;
  input.neurons.resize(4);
  for (auto& neuron : input.neurons) neuron.registered_at = 1;
  input.neurons[1].stake_rao = 5'000 * kRaoPerTao;
  input.neurons[1].validator_permit = true;
  input.neurons[1].last_update = 50;
  input.neurons[1].weights = {{2, 65535}, {3, 32768}};
  const auto shares = run_epoch(input).value();
  EXPECT_EQ(incentives(shares), (std::vector<std::uint16_t>{0, 0, 43689, 21845}));
  EXPECT_EQ(shares[2].consensus, 43689);
  EXPECT_EQ(shares[3].consensus, 21845);
  EXPECT_EQ(shares[1].dividends, 65535);
  EXPECT_EQ(shares[1].validator_trust, 65534);
  EXPECT_EQ(shares[1].bonds, (std::vector<Weight>{{2, 65535}, {3, 65535}}));
  EXPECT_EQ(shares[0].dividends + shares[2].dividends + shares[3].dividends, 0);
}

TEST(Yuma, HalfOfTheEmissionGoesToMinersAndHalfToValidators) {
  EpochInput input = subnet(3, 4);
  for (std::size_t v = 0; v < 3; ++v) input.neurons[v].weights = {{3, 100}, {4, 50}, {5, 25}};
  const auto shares = run_epoch(input).value();
  std::uint64_t validators = 0;
  std::uint64_t miners = 0;
  for (std::size_t i = 0; i < shares.size(); ++i) (i < 3 ? validators : miners) += shares[i].emission_rao;
  EXPECT_NEAR(static_cast<double>(validators), 5e8, 10);
  EXPECT_NEAR(static_cast<double>(miners), 5e8, 10);
  EXPECT_LE(validators + miners, input.emission_rao);  // truncation never pays too much
  EXPECT_NEAR(static_cast<double>(shares[3].emission_rao) / static_cast<double>(shares[4].emission_rao), 2.0, 1e-6);
}

TEST(Yuma, AMinorityCannotPushItsFavourite) {
  EpochInput input = subnet(3, 3);
  input.neurons[0].weights = {{3, 1}, {4, 1}};
  input.neurons[1].weights = {{3, 1}, {4, 1}};
  input.neurons[2].weights = {{5, 1}};  // one third of the stake votes for its own miner
  const auto shares = run_epoch(input).value();
  EXPECT_EQ(shares[5].incentive, 0);
  EXPECT_EQ(shares[5].consensus, 0);
  EXPECT_EQ(shares[2].validator_trust, 0);
  EXPECT_EQ(shares[2].dividends, 0);
  EXPECT_GT(shares[0].dividends, 30'000);
}

TEST(Yuma, AVoteAboveConsensusIsClippedAndCostsDividends) {
  EpochInput input = subnet(3, 2);
  input.neurons[0].weights = {{3, 1}, {4, 1}};
  input.neurons[1].weights = {{3, 1}, {4, 1}};
  input.neurons[2].weights = {{3, 9}, {4, 1}};  // 0.9 / 0.1 against a consensus of 0.5 / 0.5
  const auto shares = run_epoch(input).value();
  EXPECT_NEAR(shares[3].consensus, 32767, 1);
  EXPECT_NEAR(shares[2].validator_trust, 65535 * 0.6, 2);
  EXPECT_LT(shares[2].dividends, shares[0].dividends);
  EXPECT_EQ(shares[0].dividends, shares[1].dividends);
}

TEST(Yuma, MajorityOfStakeNotOfHeadsDecides) {
  EpochInput input = subnet(3, 2);
  input.neurons[2].stake_rao = 3000 * kRaoPerTao;  // 60 %
  input.neurons[0].weights = {{3, 1}};
  input.neurons[1].weights = {{3, 1}};
  input.neurons[2].weights = {{4, 1}};
  const auto shares = run_epoch(input).value();
  EXPECT_EQ(shares[3].incentive, 0);
  EXPECT_EQ(shares[4].incentive, 65535);
}

TEST(Yuma, VotesWithoutPermitActivityOrAgeDoNotCount) {
  EpochInput input = subnet(2, 2);
  input.neurons[0].weights = {{2, 1}};
  input.neurons[1].weights = {{3, 1}};
  input.neurons[1].stake_rao *= 9;
  EXPECT_EQ(run_epoch(input).value()[3].incentive, 65535);

  EpochInput no_permit = input;
  no_permit.neurons[1].validator_permit = false;
  EXPECT_EQ(run_epoch(no_permit).value()[2].incentive, 65535);
  EXPECT_TRUE(run_epoch(no_permit).value()[1].validator_permit) << "its stake earns a permit for the next epoch";

  EpochInput stale = input;
  stale.parameters.activity_cutoff = 49;
  stale.neurons[0].last_update = 60;
  const auto stale_shares = run_epoch(stale).value();
  EXPECT_FALSE(stale_shares[1].active);
  EXPECT_EQ(stale_shares[2].incentive, 65535);

  EpochInput reborn = input;
  reborn.neurons[3].registered_at = 50;  // uid 3 is somebody else since the vote
  EXPECT_EQ(run_epoch(reborn).value()[3].incentive, 0);

  EpochInput selfish = input;
  selfish.neurons[1].weights = {{1, 1}};
  EXPECT_EQ(run_epoch(selfish).value()[1].incentive, 0);
  selfish.owner = 1;
  EXPECT_EQ(run_epoch(selfish).value()[1].incentive, 65535);
}

TEST(Yuma, PermitsGoToTheLargestStakes) {
  EpochInput input = subnet(5, 1);
  for (std::size_t i = 0; i < 5; ++i) input.neurons[i].stake_rao = (i * 7 % 5 + 1) * kRaoPerTao;  // 1 3 5 2 4
  input.parameters.max_allowed_validators = 2;
  auto shares = run_epoch(input).value();
  EXPECT_EQ(shares[2].validator_permit, true);
  EXPECT_EQ(shares[4].validator_permit, true);
  EXPECT_EQ(std::count_if(shares.begin(), shares.end(), [](const auto& s) { return s.validator_permit; }), 2);
  input.parameters.stake_threshold_rao = 5 * kRaoPerTao;
  shares = run_epoch(input).value();
  EXPECT_EQ(std::count_if(shares.begin(), shares.end(), [](const auto& s) { return s.validator_permit; }), 1);
  input.owner = 5;
  EXPECT_TRUE(run_epoch(input).value()[5].validator_permit);
}

TEST(Yuma, BondsFollowVotesSlowly) {
  EpochInput input = subnet(2, 2);
  input.neurons[0].weights = {{2, 1}, {3, 1}};
  input.neurons[1].weights = {{2, 1}, {3, 1}};
  input.neurons[0].bonds = {{2, 65535}};
  input.neurons[1].bonds = {{3, 65535}};
  const auto shares = run_epoch(input).value();
  // New part 0.1 * 0.5 for each; old part 0.9: (0.95, 0.05), scaled to the column's largest.
  ASSERT_EQ(shares[0].bonds.size(), 2U);
  EXPECT_EQ(shares[0].bonds[0].value, 65535);
  EXPECT_NEAR(shares[0].bonds[1].value, 65535 * 0.05 / 0.95, 2);
  input.neurons[2].registered_at = 80;  // within the last tempo: the old bond was to somebody else
  input.neurons[0].last_update = 90;
  input.neurons[1].last_update = 90;
  EXPECT_EQ(run_epoch(input).value()[0].bonds[0].value, run_epoch(input).value()[1].bonds[0].value);
}

TEST(Yuma, WithoutVotesEmissionFollowsStake) {
  EpochInput input = subnet(2, 2);
  input.neurons[1].stake_rao *= 3;
  const auto shares = run_epoch(input).value();
  EXPECT_NEAR(static_cast<double>(shares[0].emission_rao), 2.5e8, 2);
  EXPECT_NEAR(static_cast<double>(shares[1].emission_rao), 7.5e8, 2);
  EXPECT_TRUE(run_epoch({}).value().empty());
}

TEST(Yuma, LargestStakesDoNotOverflow) {
  EpochInput input = subnet(64, 192);
  for (std::size_t v = 0; v < 64; ++v) {
    input.neurons[v].stake_rao = UINT64_MAX;
    for (Uid m = 64; m < 256; ++m) input.neurons[v].weights.push_back({m, 65535});
  }
  const auto shares = run_epoch(input).value();
  for (std::size_t m = 64; m < 256; ++m) EXPECT_NEAR(shares[m].incentive, 65535 / 192.0, 1.0);
}

TEST(Yuma, RefusesUidsThatDoNotExist) {
  EpochInput input = subnet(1, 1);
  input.neurons[0].weights = {{2, 1}};
  EXPECT_EQ(run_epoch(input).error().code, ErrorCode::kInvalidArgument);
  input.neurons[0].weights.clear();
  input.neurons[0].bonds = {{9, 1}};
  EXPECT_EQ(run_epoch(input).error().code, ErrorCode::kInvalidArgument);
  input.neurons.resize(65537);
  EXPECT_EQ(run_epoch(input).error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace brainlock::ledger
