#include "same_weights.hpp"

#include <gtest/gtest.h>

#include <functional>

namespace brainlock::runtime {
namespace {

plan::Instruction linear(plan::Register in, plan::Register out) {
  plan::Linear op;
  op.inputs = {in};
  op.columns = {{0, 0}, {0, 3}};
  op.period = 2;
  op.weight_scale = 1024;
  op.vectors = {{2, {}, {1.0F, 2.0F}, {}}, {2, {}, {3.0F, 4.0F}, {1e-9F, 0.0F}}};
  op.outputs.push_back({out, {0, 1}, 1, {0, 1}, {}});
  return {op, "layer", 5, 4, 1.0, 1.0};
}

TEST(SameWeights, AreThoseOfEqualLinearsAlone) {
  plan::Program program;
  program.instructions = {linear(0, 1), {plan::Split{1, {2}}, "split", 4, 4, 1, 1}, linear(2, 3)};
  std::get<plan::Linear>(program.instructions[2].op).outputs[0].bias = {1, {}, {0.5F}, {}};
  EXPECT_EQ(find_same_weights(program), (std::vector<std::size_t>{0, 1, 0}));  // registers and biases do not matter

  const std::function<void(plan::Instruction&, plan::Linear&)> changes[] = {
      [](auto& i, auto&) { i.limbs_in = 6; },
      [](auto&, auto& l) { l.weight_scale = 2048; },
      [](auto&, auto& l) { l.period = 4; },
      [](auto&, auto& l) { l.vectors[1].values[0] = 5.0F; },
      [](auto&, auto& l) { l.vectors[1].rest[1] = 1e-9F; },
      [](auto&, auto& l) { l.vectors[1].rest = {}; },
      [](auto&, auto& l) {
        l.outputs[0].weights = {1, 0};
      },
      [](auto&, auto& l) {
        l.outputs[0].columns = {1, 0};
      },
      [](auto&, auto& l) {
        l.masks = {{1, {}, {1.0F}, {}}};
      },
  };
  for (const auto& change : changes) {
    plan::Program other = program;
    change(other.instructions[2], std::get<plan::Linear>(other.instructions[2].op));
    EXPECT_EQ(find_same_weights(other), (std::vector<std::size_t>{0, 1, 2}));
  }
}

}  // namespace
}  // namespace brainlock::runtime
