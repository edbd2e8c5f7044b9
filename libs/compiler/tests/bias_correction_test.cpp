// Rounded weights with and without corrected biases, on inputs that the correction has not seen.
#include "bias_correction.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "brainlock/compiler/compile.hpp"
#include "brainlock/compiler/float_interpreter.hpp"
#include "brainlock/ckks/encoder.hpp"
#include "brainlock/plan/slot_interpreter.hpp"
#include "levels.hpp"
#include "net_builder.hpp"

namespace brainlock::compiler {
namespace {

// A program whose weights were replaced by what encoding leaves of them.
plan::Program encoded(plan::Program program) {
  const auto& choice = program.parameters;
  auto parameters = ckks::Parameters::create({choice.ring_degree, choice.q, choice.p, choice.digit_limbs});
  EXPECT_TRUE(parameters.ok()) << parameters.error().to_string();
  const ckks::Encoder encoder(*parameters);
  for (auto& instruction : program.instructions)
    if (auto* linear = std::get_if<plan::Linear>(&instruction.op))
      for (auto& vector : linear->vectors) {
        const auto scale = ckks::Scale::from_value(linear->weight_scale);
        const auto slots = encoder.to_slots(*encoder.to_coefficients(vector.expanded(), scale), scale);
        vector.slots.clear();
        vector.values.assign(slots.begin(), slots.end());
      }
  return program;
}

TEST(BiasCorrection, RoundedWeightsMatterLess) {
  NetBuilder net(21, {3, 16, 16});
  net.conv(8, 3).quadratic().conv(8, 3).quadratic().pool(2).conv(12, 3).quadratic().dense(10);
  const Graph graph = net.graph();
  std::vector<std::vector<float>> seen, unseen;
  for (int i = 0; i < 4; ++i) seen.push_back(net.sample());
  for (int i = 0; i < 6; ++i) unseen.push_back(net.sample());
  auto stages = make_stages(graph);
  ASSERT_TRUE(stages.ok());
  const auto choices = enumerate_choices(*stages, 1U << 13);
  ASSERT_FALSE(choices.empty());
  auto lowered = lower(*stages, 1U << 13, choices.front());
  ASSERT_TRUE(lowered.ok()) << lowered.error().to_string();
  // Coarse weights, so that rounding is what is wrong.
  LevelChoice levels;
  levels.parameters.ring_degree = 1U << 14;
  levels.parameters.q = math::ntt_primes(28, 10, 1U << 14);
  levels.parameters.p = math::ntt_primes(30, 2, 1U << 14);
  levels.parameters.digit_limbs = 2;
  std::uint32_t limbs = 10;
  for (std::size_t l = 0; l < lowered->stages.size(); ++l) {
    levels.limbs_in.push_back(limbs);
    levels.drop.push_back(l == 0 ? 0 : 1);
    limbs -= levels.drop.back();
    levels.weight_scale_log2.push_back(5);
  }
  levels.input_scale_log2 = 20;
  assign_levels(*lowered, levels);

  const auto error = [&](const plan::Program& program) {
    const plan::Program rounded = encoded(program);
    double sum = 0;
    for (const auto& x : unseen) {
      const auto got = plan::run_slots(rounded, x);
      const auto want = run_float(graph, x);
      for (std::size_t i = 0; i < want.size(); ++i) sum += std::pow(got[i] - static_cast<double>(want[i]), 2);
    }
    return std::sqrt(sum);
  };
  const double before = error(lowered->program);
  ASSERT_TRUE(correct_biases(lowered->program, lowered->stages, *stages, seen, 2).ok());
  const double after = error(lowered->program);
  EXPECT_GT(before, 0);
  EXPECT_LT(after, 0.8 * before);
}

}  // namespace
}  // namespace brainlock::compiler
