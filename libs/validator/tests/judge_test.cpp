#include "brainlock/validator/judge.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace brainlock::validator {
namespace {

std::vector<std::uint8_t> answer(std::uint8_t number) { return {number, 1, 2, 3}; }

TEST(AnswerMemory, KnowsTheNewestAndForgetsTheOldest) {
  AnswerMemory memory(3);
  for (std::uint8_t i = 0; i < 3; ++i) EXPECT_FALSE(memory.seen(answer(i)));
  for (std::uint8_t i = 0; i < 3; ++i) EXPECT_TRUE(memory.seen(answer(i)));
  EXPECT_FALSE(memory.seen(answer(3)));  // in the place of 0
  EXPECT_TRUE(memory.seen(answer(1)));
  EXPECT_TRUE(memory.seen(answer(2)));
  EXPECT_FALSE(memory.seen(answer(0)));  // in the place of 1
  EXPECT_FALSE(memory.seen(answer(1)));
  EXPECT_TRUE(memory.seen(answer(3)));
}

TEST(AnswerMemory, EveryBitCounts) {
  AnswerMemory memory;
  std::vector<std::uint8_t> bytes(1000, 7);
  EXPECT_FALSE(memory.seen(bytes));
  bytes.back() ^= 1;
  EXPECT_FALSE(memory.seen(bytes));
  bytes.pop_back();
  EXPECT_FALSE(memory.seen(bytes));
  EXPECT_FALSE(memory.seen({}));
  EXPECT_TRUE(memory.seen(bytes));
}

/// How many answers with this ratio pass before one does not; `most` if all do.
std::size_t passing(double ratio, std::size_t most) {
  NoiseMemory memory;
  std::size_t passed = 0;
  while (passed < most && !memory.add({}, {}, ratio, 10)) ++passed;
  return passed;
}

TEST(NoiseMemory, TheFurtherOffTheSooner) {
  EXPECT_EQ(passing(kMostNoiseRatio, 100), 1U);   // 32 > 2 * 2 + 14
  EXPECT_EQ(passing(3, 100), 2U);
  EXPECT_EQ(passing(2, 100), 7U);
  EXPECT_EQ(passing(1.5, 100), NoiseMemory::kFew - 1);
  EXPECT_EQ(passing(1.4, 100), 100U);
}

TEST(NoiseMemory, AFewLargeOnesAmongHonestOnesPassAndNobodyPaysForAnother) {
  NoiseMemory memory;
  const ledger::AccountId one{1}, other{2};
  for (int i = 0; i < 60; ++i) EXPECT_FALSE(memory.add(one, {}, i % 12 == 5 ? 3.0 : 0.8, 10)) << i;
  EXPECT_FALSE(memory.add(other, {}, 4, 10));
  EXPECT_TRUE(memory.add(other, {}, 4, 10));
  EXPECT_FALSE(memory.add(one, {}, 0.8, 10));
  EXPECT_FALSE(memory.add(other, {1}, 4, 10)) << "another package";
  memory.forget([&](const ledger::AccountId& miner) { return miner == other; });
  EXPECT_FALSE(memory.add(other, {}, 4, 10));
}

// Gaussian errors, foretold by as many runs as a task draws; the package's estimate of them is right, or half of what they are.
TEST(NoiseMemory, HonestMinersAreNotMistakenHoweverFewOutputsThereAre) {
  std::mt19937_64 random(7);
  std::normal_distribution<double> error;
  constexpr int kMiners = 400, kAnswers = 60;
  for (const std::size_t outputs : {1, 2, 3, 4, 10}) {
    for (const double estimate : {0.5, 1.0}) {
      const auto draws = static_cast<double>(package::foretelling_draws(static_cast<double>(outputs)));
      int refused = 0, mistaken = 0;
      for (int miner = 0; miner < kMiners; ++miner) {
        NoiseMemory memory;
        bool hit = false;
        for (int answer = 0; answer < kAnswers; ++answer) {
          double squares = 0, off = 0;   // as package::foretell and Foretold::ratio count them
          for (std::size_t output = 0; output < outputs; ++output) {
            std::vector<double> runs(static_cast<std::size_t>(draws));
            double mean = 0;
            for (double& run : runs) mean += (run = error(random)) / draws;
            for (const double run : runs) squares += (run - mean) * (run - mean) / static_cast<double>(outputs);
            off += std::pow(error(random) - mean, 2) / static_cast<double>(outputs);
          }
          const double ratio = std::sqrt(off / ((estimate * estimate + squares) / draws * (1 + 1 / draws)));
          if (ratio > kMostNoiseRatio) {
            ++refused;
          } else {
            hit = memory.add({}, {}, ratio, static_cast<double>(outputs)).has_value() || hit;
          }
        }
        mistaken += hit ? 1 : 0;
      }
      EXPECT_LE(mistaken, kMiners / 50) << outputs << " outputs, estimate " << estimate;
      EXPECT_LE(refused, kMiners * kAnswers / 500) << outputs << " outputs, estimate " << estimate;
    }
  }
}

}  // namespace
}  // namespace brainlock::validator
