#include "brainlock/sampler/random.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

namespace brainlock::sampler {
namespace {

// The published splitmix64 stream of seed 1234567 starts with these numbers; xoshiro256** is seeded with four of them,
// and its first output is rotl(s1 * 5, 7) * 9 of the second.
TEST(Random, FirstOutputFollowsFromThePublishedSplitmixStream) {
  const std::uint64_t s1 = 3203168211198807973ULL;
  const std::uint64_t product = s1 * 5;
  EXPECT_EQ(Random(1234567).next(), ((product << 7) | (product >> 57)) * 9);
}

// xoshiro256** with state {1, 2, 3, 4} is not reachable through a seed, so the stream itself is frozen instead (value
// from an independent program): recorded image seeds must stay replayable in every release.
TEST(Random, StreamIsFrozen) {
  Random a(0);
  Random b(0);
  std::uint64_t mixed = 0;
  for (int i = 0; i < 1000; ++i) mixed = mixed * 31 + a.next();
  for (int i = 0; i < 999; ++i) b.next();
  EXPECT_EQ(mixed, 531886335580480772ULL);
}

TEST(Random, UniformFillsItsRangeEvenly) {
  Random random(7);
  std::array<int, 10> bins{};
  for (int i = 0; i < 100'000; ++i) ++bins[static_cast<std::size_t>(random.uniform() * 10)];
  for (int bin : bins) EXPECT_NEAR(bin, 10'000, 450);
}

TEST(Random, BelowStaysBelowAndHitsEverything) {
  Random random(8);
  std::array<int, 7> bins{};
  for (int i = 0; i < 7000; ++i) ++bins[random.below(7)];
  for (int bin : bins) EXPECT_NEAR(bin, 1000, 150);
  EXPECT_EQ(random.below(0), 0U);
  EXPECT_EQ(random.below(1), 0U);
}

TEST(Random, NormalHasUnitMoments) {
  Random random(9);
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < 100'000; ++i) {
    const double x = random.normal();
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / 100'000, 0.0, 0.015);
  EXPECT_NEAR(squares / 100'000, 1.0, 0.03);
}

TEST(Random, StreamsOfOneSeedDiffer) {
  EXPECT_NE(derive_seed(1, 0), derive_seed(1, 1));
  EXPECT_NE(derive_seed(1, 0), derive_seed(2, 0));
  EXPECT_EQ(derive_seed(5, 6), derive_seed(5, 6));
}

}  // namespace
}  // namespace brainlock::sampler
