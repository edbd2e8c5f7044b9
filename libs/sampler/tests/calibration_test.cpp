#include "brainlock/sampler/calibration.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "brainlock/sampler/synthetic.hpp"

namespace brainlock::sampler {
namespace {

double energy(const std::vector<float>& values) {
  double sum = 0;
  for (float v : values) sum += static_cast<double>(v) * static_cast<double>(v);
  return sum;
}

TEST(Calibration, IsTheSameAtEveryCallAndForAnyThreads) {
  const auto inputs = calibration_inputs(3, 3, 16, 16, 1);
  ASSERT_EQ(inputs.size(), 3U);
  EXPECT_EQ(inputs, calibration_inputs(3, 3, 16, 16, 4));
}

TEST(Calibration, SpreadsOverWhatPicturesShowBrightestFirst) {
  const auto inputs = calibration_inputs(8, 3, 32, 32, 2);
  ASSERT_TRUE(std::is_sorted(inputs.begin(), inputs.end(), [](const auto& a, const auto& b) { return energy(a) > energy(b); }));
  std::vector<double> others;
  for (std::uint64_t seed = 5000; seed < 5200; ++seed) others.push_back(energy(synthetic_values(seed, 3, 32, 32)));
  std::sort(others.begin(), others.end());
  // The brightest among the brightest fifth of others, the darkest among the darkest, half above and half below about the median.
  EXPECT_GT(energy(inputs.front()), others[160]);
  EXPECT_LT(energy(inputs.back()), others[40]);
  EXPECT_GT(energy(inputs[3]), others[70]);
  EXPECT_LT(energy(inputs[4]), others[130]);
}

TEST(Calibration, TakesVectorsThatAreNoPictures) {
  const auto inputs = calibration_inputs(2, 17, 1, 1, 1);
  ASSERT_EQ(inputs.size(), 2U);
  for (const auto& values : inputs) {
    ASSERT_EQ(values.size(), 17U);
    for (float v : values) {
      EXPECT_GE(v, 0.0F);
      EXPECT_LT(v, 1.0F);
    }
  }
  EXPECT_NE(inputs[0], inputs[1]);
}

TEST(SyntheticValues, ArePixelsOfThePictureWhereThereIsOne) {
  EXPECT_EQ(synthetic_values(7, 3, 8, 8), synthetic_image(7, 3, 8, 8).value().pixels);
  EXPECT_EQ(synthetic_values(7, 5, 1, 1), synthetic_values(7, 5, 1, 1));
}

}  // namespace
}  // namespace brainlock::sampler
