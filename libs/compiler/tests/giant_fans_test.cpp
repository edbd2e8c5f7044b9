#include "giant_fans.hpp"

#include <gtest/gtest.h>

#include "cost_model.hpp"

namespace brainlock::compiler {
namespace {

/// Split, and a linear with so many giants; its rotations by `others` at `limbs` are there anyway.
struct Shape {
  std::uint32_t ring_degree = 1U << 15, limbs = 12, giants = 16;
  std::int32_t giant_step = 16;
  std::vector<std::int32_t> others{};
  std::uint32_t layers = 1;   ///< so many of them, one after the other
};

plan::Program program_of(const Shape& shape) {
  plan::Program p;
  p.parameters = {shape.ring_degree, std::vector<std::uint32_t>(shape.limbs, 1U << 28), std::vector<std::uint32_t>(4, 1U << 29), 4};
  plan::Combine rotated{{{1, 0}}, 2};
  for (const std::int32_t r : shape.others) rotated.terms.push_back({1, r});
  p.instructions.push_back({plan::Split{0, {1}}, "split", shape.limbs, shape.limbs, 1, 1});
  p.instructions.push_back({rotated, "rotated", shape.limbs, shape.limbs, 1, 1});
  for (std::uint32_t l = 0; l < shape.layers; ++l) {
    plan::Linear linear;
    linear.giant_step = shape.giant_step;
    linear.inputs = {2};
    linear.columns = {{0, 1}};
    linear.outputs.push_back({3 + l, {0}, shape.giants, std::vector<std::int32_t>(shape.giants, 0), {}});
    p.instructions.push_back({linear, "layer", shape.limbs, shape.limbs, 1, 1});
  }
  return p;
}

std::vector<std::uint32_t> fans_of(const plan::Program& p) {
  std::vector<std::uint32_t> out;
  for (const auto& instruction : p.instructions)
    if (const auto* linear = std::get_if<plan::Linear>(&instruction.op)) out.push_back(linear->giant_fan);
  return out;
}

std::uint32_t chosen(const Shape& shape) {
  plan::Program p = program_of(shape);
  choose_giant_fans(p);
  EXPECT_EQ(p.keys, plan::collect_keys(p));
  return fans_of(p).front();
}

TEST(GiantFans, PairsWhereTheirKeysAreThereAnyway) {
  plan::Program p = program_of({.others = {32, 64, 128}});
  p.keys = plan::collect_keys(p);
  const double before = predict_key_bytes(p);
  choose_giant_fans(p);
  EXPECT_EQ(fans_of(p).front(), 2U);
  EXPECT_EQ(predict_key_bytes(p), before);
  EXPECT_EQ(chosen({.giants = 4, .others = {32}}), 2U);
  EXPECT_EQ(chosen({.giants = 3, .others = {32}}), 0U) << "two that wait, in pairs or not";
}

TEST(GiantFans, TwoGiantsAreOneStep) {
  EXPECT_EQ(chosen({.giants = 2, .others = {32, 64}}), 0U);
  EXPECT_EQ(chosen({.giants = 1, .others = {32, 64}}), 0U);
  EXPECT_EQ(chosen({.giant_step = 0, .others = {32, 64}}), 0U);
}

// A key of the largest rings has 50 MB, which few rotations are worth; many layers that share it are.
TEST(GiantFans, KeysAreWeighedAgainstWhatWaits) {
  const Shape large{.ring_degree = 1U << 16, .limbs = 38, .giants = 4, .giant_step = 16};
  EXPECT_EQ(chosen(large), 0U);
  Shape many = large;
  many.layers = 60;
  EXPECT_EQ(chosen(many), 2U);
  Shape four = large;   // with the key of four's second round alone
  four.giants = 16;
  four.others = {64};
  EXPECT_EQ(chosen(four), 4U);
}

TEST(GiantFans, NoneThatTurnsFartherThanThereAreSlots) {
  EXPECT_EQ(chosen({.giants = 5, .giant_step = 1 << 12, .others = {1 << 13}}), 0U) << "the third round would be a whole turn";
  EXPECT_EQ(chosen({.giants = 4, .giant_step = 1 << 12, .others = {1 << 13}}), 2U);
}

TEST(GiantFans, WhatWasChosenBeforeIsForgotten) {
  plan::Program p = program_of({.others = {32, 64, 128}});
  choose_giant_fans(p);
  std::get<plan::Combine>(p.instructions[1].op).terms.resize(1);
  for (auto& instruction : p.instructions) instruction.limbs_in = 38;
  p.parameters.q.assign(38, 1U << 28);
  p.parameters.ring_degree = 1U << 16;
  auto& linear = std::get<plan::Linear>(p.instructions[2].op);
  linear.outputs[0].giants = 4;
  choose_giant_fans(p);
  EXPECT_EQ(linear.giant_fan, 0U);
}

// Layers of one step share their keys; those of another choose for themselves.
TEST(GiantFans, EachStepForItself) {
  plan::Program p = program_of({.others = {32, 64, 128}, .layers = 2});
  auto& other = std::get<plan::Linear>(p.instructions[3].op);
  other.giant_step = 5;
  other.outputs[0].giants = 3;
  p.parameters.ring_degree = 1U << 16;
  for (auto& instruction : p.instructions) instruction.limbs_in = 38;
  p.parameters.q.assign(38, 1U << 28);
  choose_giant_fans(p);
  EXPECT_EQ(fans_of(p), (std::vector<std::uint32_t>{2, 0}));
}

}  // namespace
}  // namespace brainlock::compiler
