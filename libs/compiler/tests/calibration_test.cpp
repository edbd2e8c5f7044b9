// The gains by which noise is predicted, against noise.
#include "calibration.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "net_builder.hpp"
#include "stage_arithmetic.hpp"

namespace brainlock::compiler {
namespace {

// One answer: the random signs of the estimator then make no difference, and gains are exact for small noise.
StagePlan network() {
  NetBuilder net(11, {2, 12, 12});
  net.conv(6, 3).quadratic().conv(5, 3, 1).quadratic().pool(2).conv(8, 3).quadratic().dense(12).quadratic().dense(1);
  auto plan = make_stages(net.graph());
  EXPECT_TRUE(plan.ok()) << plan.error().to_string();
  return std::move(*plan);
}

std::vector<float> sample(const StagePlan& plan, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(0, 1);
  std::vector<float> x(plan.input.size());
  for (float& v : x) v = uniform(random);
  return x;
}

double answer(const StagePlan& plan, std::span<const float> x) { return run_stages(plan, x).back().front(); }

// The answer when stage `l`'s output is off by `noise`.
double answer_with(const StagePlan& plan, std::span<const float> x, std::size_t l, std::mt19937& random, double sigma) {
  std::normal_distribution<double> normal(0, sigma);
  LaneTensor<double> values(x.size(), Lanes<double>{});
  for (std::size_t e = 0; e < x.size(); ++e) values[e][0] = static_cast<double>(x[e]);
  for (std::size_t i = 0; i < plan.stages.size(); ++i) {
    values = apply_linear(plan.stages[i], apply_pools(plan.stages[i], std::move(values)));
    for (auto& v : values) {
      if (i == l) v[0] += normal(random);
      if (i + 1 < plan.stages.size()) v[0] *= v[0];
    }
  }
  return values.front()[0];
}

// The answer when the mask behind stage `l`'s map is off by `noise` everywhere; and the mean square of what it meets.
double answer_with_mask(const StagePlan& plan, std::span<const float> x, std::size_t l, std::mt19937& random, double sigma, double& mean_square) {
  std::normal_distribution<double> normal(0, sigma);
  LaneTensor<double> values(x.size(), Lanes<double>{});
  for (std::size_t e = 0; e < x.size(); ++e) values[e][0] = static_cast<double>(x[e]);
  for (std::size_t i = 0; i < plan.stages.size(); ++i) {
    values = apply_linear(plan.stages[i], apply_pools(plan.stages[i], std::move(values)));
    if (i == l) mean_square = 0;
    for (std::size_t e = 0; e < values.size(); ++e) {
      if (i == l) {
        const double made = values[e][0] - plan.stages[i].bias[e];
        values[e][0] += made * normal(random);
        mean_square += made * made / static_cast<double>(values.size());
      }
      if (i + 1 < plan.stages.size()) values[e][0] *= values[e][0];
    }
  }
  return values.front()[0];
}

TEST(Calibration, MaskGainIsTheVarianceThatErrorsOfMasksCause) {
  NetBuilder net(12, {2, 8, 8});
  net.conv(4, 3, 1, 1).quadratic().conv(5, 3, 1, 1).quadratic().conv(6, 3, 1, 1).quadratic().dense(1);
  const auto plan = make_stages(net.graph());
  ASSERT_TRUE(plan.ok()) << plan.error().to_string();
  const std::vector<std::vector<float>> samples{sample(*plan, 3)};
  const Calibration calibration = calibrate(*plan, samples);
  std::mt19937 random(4);
  constexpr int kDraws = 3000;
  for (std::size_t l = 0; l < plan->stages.size(); ++l) {
    const double clear = answer(*plan, samples[0]), sigma = 1e-5;
    double variance = 0, mean_square = 0;
    for (int draw = 0; draw < kDraws; ++draw) {
      const double d = answer_with_mask(*plan, samples[0], l, random, sigma, mean_square) - clear;
      variance += d * d / (kDraws * sigma * sigma);
    }
    EXPECT_NEAR(calibration.stages[l].mask_gain * mean_square / variance, 1.0, 0.1) << "stage " << l;
  }
}

TEST(Calibration, GainIsTheVarianceThatNoiseCauses) {
  const StagePlan plan = network();
  const std::vector<std::vector<float>> samples{sample(plan, 1)};
  const Calibration calibration = calibrate(plan, samples);
  std::mt19937 random(2);
  constexpr int kDraws = 3000;
  for (std::size_t l = 0; l < plan.stages.size(); ++l) {
    const double clear = answer(plan, samples[0]), sigma = 1e-5 * calibration.stages[l].rms;
    double variance = 0;
    for (int draw = 0; draw < kDraws; ++draw) {
      const double d = answer_with(plan, samples[0], l, random, sigma) - clear;
      variance += d * d / (kDraws * sigma * sigma);
    }
    EXPECT_NEAR(calibration.stages[l].gain / variance, 1.0, 0.1) << plan.stages[l].name;
  }
}

// Errors of a convolution's weights are the same at every position and add up: far more than independent noise would.
TEST(Calibration, WeightGainIsTheVarianceThatRoundedWeightsCause) {
  const StagePlan plan = network();
  const std::vector<std::vector<float>> samples{sample(plan, 3)};
  const Calibration calibration = calibrate(plan, samples);
  const double clear = answer(plan, samples[0]);
  std::mt19937 random(4);
  constexpr int kDraws = 1500;
  for (std::size_t l = 0; l < plan.stages.size(); ++l) {
    double variance = 0, caused = 0;
    for (int draw = 0; draw < kDraws; ++draw) {
      StagePlan off = plan;
      std::vector<float>& weights = off.stages[l].is_dense ? off.stages[l].dense.weights : off.stages[l].conv.weights;
      std::normal_distribution<float> normal(0, 1e-4F);
      for (float& w : weights) w += normal(random);
      const auto got = run_stages(off, samples[0]), want = run_stages(plan, samples[0]);
      variance += (got.back().front() - clear) * (got.back().front() - clear) / kDraws;
      for (std::size_t e = 0; e < want[l].size(); ++e)
        caused += (got[l][e] - want[l][e]) * (got[l][e] - want[l][e]) / static_cast<double>(kDraws * want[l].size());
    }
    EXPECT_NEAR(calibration.stages[l].weight_gain / (variance / caused), 1.0, 0.2) << plan.stages[l].name;
  }
}

TEST(Calibration, WorstInputIsNeverBelowTheMean) {
  const StagePlan plan = network();
  std::vector<std::vector<float>> samples;
  for (unsigned seed = 0; seed < 11; ++seed) samples.push_back(sample(plan, seed));   // more than one group of lanes
  const Calibration many = calibrate(plan, samples), one = calibrate(plan, {samples.data(), 1});
  EXPECT_DOUBLE_EQ(one.worst_gain_ratio, 1.0);
  EXPECT_GT(many.worst_gain_ratio, 1.0);
  double largest = 0;
  for (const auto& x : samples) {
    const auto outputs = run_stages(plan, x);
    for (double v : outputs[1]) largest = std::max(largest, std::fabs(v));
  }
  EXPECT_NEAR(many.stages[1].largest, largest, 1e-4 * largest);
}

}  // namespace
}  // namespace brainlock::compiler
