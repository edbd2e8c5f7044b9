#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "brainlock/plan/slot_coefficients.hpp"
#include "random_slots.hpp"
#include "refresh_sine.hpp"
#include "refresh_transforms.hpp"

namespace brainlock::compiler {
namespace {

using Complex = std::complex<double>;

Slots transformed(const plan::Linear& layer, const Slots& in) {
  const auto n = static_cast<std::int64_t>(in.size());
  const plan::Linear::Output& output = layer.outputs[0];
  Slots out(in.size());
  for (std::int64_t g = 0; g < output.giants; ++g)
    for (std::size_t k = 0; k < output.columns.size(); ++k) {
      const std::int32_t w = output.weights[k * output.giants + static_cast<std::size_t>(g)];
      if (w < 0) continue;
      const auto values = layer.vectors[static_cast<std::size_t>(w)].expanded();
      for (std::int64_t t = 0; t < n; ++t) {
        const std::int64_t own = ((t + g * layer.giant_step) % n + n) % n;
        const std::int64_t from = ((own + layer.columns[output.columns[k]].rotation) % n + n) % n;
        out[static_cast<std::size_t>(t)] +=
            values[static_cast<std::size_t>(own % layer.period)] * in[static_cast<std::size_t>(from)];
      }
    }
  return out;
}

std::size_t reversed(std::size_t k, std::size_t n) {
  std::size_t out = 0;
  for (std::size_t bit = 1; bit < n; bit *= 2) out = 2 * out + ((k & bit) != 0 ? 1 : 0);
  return out;
}

class RefreshTransforms : public ::testing::TestWithParam<std::pair<std::uint32_t, std::uint32_t>> {};

TEST_P(RefreshTransforms, LeadToCoefficientsAndBack) {
  const auto [slots, babies] = GetParam();
  const Slots in = random_slots(slots, 3);
  Slots value = in;
  for (const plan::Linear& layer : make_transform(Direction::kCoefficientsToSlots, slots, babies))
    value = transformed(layer, value);
  const Slots expected = plan::slot_coefficients(in);
  const double root = std::sqrt(static_cast<double>(slots));
  for (std::size_t k = 0; k < slots; ++k)
    ASSERT_LT(std::abs(value[reversed(k, slots)] - root * expected[k]), 1e-12 * root) << k;
  for (const plan::Linear& layer : make_transform(Direction::kSlotsToCoefficients, slots, babies))
    value = transformed(layer, value);
  for (std::size_t t = 0; t < slots; ++t) ASSERT_LT(std::abs(value[t] - in[t]), 1e-5) << t;
}

INSTANTIATE_TEST_SUITE_P(Rings, RefreshTransforms,
                         ::testing::Values(std::pair{8U, 4U}, std::pair{512U, 8U}, std::pair{2048U, 4U},
                                           std::pair{4096U, 16U}));

TEST(RefreshSine, TakesAwayEveryMultiple) {
  for (const std::uint32_t degree : {1U << 10, 1U << 13, 1U << 16}) {
    const SineChain chain = make_sine_chain(degree);
    const double largest = largest_multiple(degree);
    EXPECT_GT(largest, 8.5 * multiple_deviation(degree));
    double worst = 0, sum = 0;
    int count = 0;
    for (int multiple = -static_cast<int>(largest); multiple <= static_cast<int>(largest); ++multiple)
      for (const double e : {-0.08, -0.01, 0.0, 0.02, 0.08}) {
        double v = chain.turn * (multiple + e - 0.25);
        ASSERT_LE(std::fabs(v), 1);
        for (const SineStep& step : chain.steps) {
          v = step.factor * v * v + step.constant;
          ASSERT_LT(std::fabs(v), 1.01);
        }
        const double error = std::fabs(v - std::sin(2 * M_PI * e));
        worst = std::max(worst, error);
        sum += error * error;
        ++count;
      }
    EXPECT_LT(worst, 0x1p-9) << degree;  // at I = 0, where the doublings make most of it
    EXPECT_LT(std::sqrt(sum / count), 0x1p-14) << degree;
    EXPECT_LT(chain.error, 0x1p-16) << degree;
  }
}

}  // namespace
}  // namespace brainlock::compiler
