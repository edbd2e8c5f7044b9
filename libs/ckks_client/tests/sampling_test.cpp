#include "sampling.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <vector>

namespace brainlock::ckks_client {
namespace {

constexpr std::size_t kCount = 1u << 20;

TEST(Sampling, TernaryIsUniform) {
  crypto::SecureRandom random;
  std::vector<std::int8_t> values(kCount);
  sample_ternary(random, values);
  std::array<double, 3> histogram{};
  for (const auto x : values) {
    ASSERT_GE(x, -1);
    ASSERT_LE(x, 1);
    ++histogram[static_cast<std::size_t>(x + 1)];
  }
  // Standard deviation of a count: sqrt(n * 2/9) = 483; seven of them, so that a right sampler fails once in 10^11.
  for (const double count : histogram) EXPECT_NEAR(count, kCount / 3.0, 7 * 483);
}

TEST(Sampling, GaussianMatchesItsDistribution) {
  crypto::SecureRandom random;
  std::vector<std::int8_t> values(kCount);
  sample_gaussian(random, values);
  std::array<double, 2 * kErrorBound + 1> histogram{};
  double sum = 0, squares = 0;
  for (const auto x : values) {
    ASSERT_LE(std::abs(x), kErrorBound);
    ++histogram[static_cast<std::size_t>(x + kErrorBound)];
    sum += x;
    squares += double(x) * x;
  }
  const double n = kCount;
  EXPECT_NEAR(sum / n, 0, 7 * kErrorSigma / std::sqrt(n));
  // Variance of x^2 for a Gaussian is 2 sigma^4.
  EXPECT_NEAR(squares / n, kErrorSigma * kErrorSigma, 7 * std::sqrt(2 / n) * kErrorSigma * kErrorSigma);
  // Chi-square over the values that occur at least about a hundred times.
  double total = 0;
  for (int k = -60; k <= 60; ++k) total += std::exp(-k * k / (2 * kErrorSigma * kErrorSigma));
  double chi = 0;
  int cells = 0;
  for (int k = -kErrorBound; k <= kErrorBound; ++k) {
    const double expected = n * std::exp(-k * k / (2 * kErrorSigma * kErrorSigma)) / total;
    if (expected < 100) continue;
    const double difference = histogram[static_cast<std::size_t>(k + kErrorBound)] - expected;
    chi += difference * difference / expected;
    ++cells;
  }
  // Chi-square with cells - 1 degrees of freedom: mean cells - 1, variance twice that.
  EXPECT_LT(chi, cells + 8 * std::sqrt(2.0 * cells)) << cells << " cells";
}

static_assert(kErrorBound > 6 * kErrorSigma);

TEST(Sampling, GaussianTailIsThere) {
  // P(|x| >= 4.7 sigma = 15) is about 3.8e-6: four in 2^20 draws on average; a tail cut at 4 sigma would show none
  // in 2^24 (expected 63).
  crypto::SecureRandom random;
  std::vector<std::int8_t> values(kCount);
  int far = 0;
  for (int round = 0; round < 16; ++round) {
    sample_gaussian(random, values);
    for (const auto x : values) far += std::abs(x) >= 15 ? 1 : 0;
  }
  EXPECT_GT(far, 20);
  EXPECT_LT(far, 130);
}

TEST(Sampling, SmallResidues) {
  EXPECT_EQ(small_residue(0, 97), 0u);
  EXPECT_EQ(small_residue(5, 97), 5u);
  EXPECT_EQ(small_residue(-1, 97), 96u);
  EXPECT_EQ(small_residue(-30, (1u << 30) - 35), (1u << 30) - 65);
}

}  // namespace
}  // namespace brainlock::ckks_client
