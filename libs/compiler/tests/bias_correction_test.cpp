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

// A program whose weights and masks were replaced by what encoding leaves of them.
plan::Program encoded(plan::Program program) {
  const auto& choice = program.parameters;
  auto parameters = ckks::Parameters::create({choice.ring_degree, choice.q, choice.p, choice.digit_limbs});
  EXPECT_TRUE(parameters.ok()) << parameters.error().to_string();
  const ckks::Encoder encoder(*parameters);
  for (auto& instruction : program.instructions)
    if (auto* linear = std::get_if<plan::Linear>(&instruction.op)) {
      const auto round = [&](plan::SlotVector& vector, double by) {
        const auto scale = ckks::Scale::from_value(by);
        const auto slots = encoder.to_slots(*encoder.to_coefficients(vector.expanded(), scale), scale);
        vector.slots.clear();
        vector.values.assign(slots.begin(), slots.end());
      };
      for (auto& vector : linear->vectors) round(vector, linear->weight_scale);
      for (auto& mask : linear->masks) round(mask, linear->mask_scale);
    }
  return program;
}

// Rms error of the answers after the correction over that before, for weights and masks of these scales; 0 if something failed.
double after_over_before(NetBuilder& net, std::size_t samples, bool masks, double weight_log2, double mask_log2) {
  const Graph graph = net.graph();
  std::vector<std::vector<float>> seen, unseen;
  for (std::size_t i = 0; i < samples; ++i) seen.push_back(net.sample());
  for (int i = 0; i < 6; ++i) unseen.push_back(net.sample());
  auto stages = make_stages(graph);
  if (!stages.ok()) return ADD_FAILURE() << stages.error().to_string(), 0;
  const auto choices = enumerate_choices(*stages, 1U << 13);
  const auto choice = std::find_if(choices.begin(), choices.end(), [&](const LayoutChoice& c) {
    return c.masks == masks && lower(*stages, 1U << 13, c, LowerDepth::kStructure).ok();
  });
  if (choice == choices.end()) return ADD_FAILURE() << "no layout", 0;
  auto lowered = lower(*stages, 1U << 13, *choice);
  if (!lowered.ok()) return ADD_FAILURE() << lowered.error().to_string(), 0;
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
    levels.weight_scale_log2.push_back(weight_log2);
    levels.mask_scale_log2.push_back(masks ? mask_log2 : 0);
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
  EXPECT_GT(before, 0);
  EXPECT_TRUE(correct_biases(lowered->program, lowered->stages, *stages, seen, 2).ok());
  return error(lowered->program) / before;
}

// Coarse weights, so that rounding is what is wrong.
TEST(BiasCorrection, RoundedWeightsMatterLess) {
  NetBuilder net(21, {3, 16, 16});
  net.conv(8, 3).quadratic().conv(8, 3).quadratic().pool(2).conv(12, 3).quadratic().dense(10);
  EXPECT_LT(after_over_before(net, 4, false, 5, 0), 0.8);
}

// A mask is off by something else in every place.
TEST(BiasCorrection, RoundedMasksMatterLess) {
  NetBuilder net(22, {3, 12, 12});
  net.conv(4, 3, 1, 1).quadratic().conv(4, 3, 1, 1).quadratic().conv(4, 3, 1, 1).quadratic().dense(6);
  EXPECT_LT(after_over_before(net, 16, true, 14, 5), 0.8);
}

}  // namespace
}  // namespace brainlock::compiler
