#include "unread.hpp"

#include <gtest/gtest.h>

namespace brainlock::compiler {
namespace {

constexpr std::uint32_t kSlots = 8;

/// One Linear that reads register 1 rotated by `rotation`, with a weight in each of `weighted` slots.
plan::Program reading(std::vector<std::uint32_t> weighted, std::int32_t rotation, std::uint32_t period = kSlots) {
  plan::Linear linear;
  linear.inputs = {1};
  linear.columns = {{0, rotation}};
  linear.period = period;
  plan::SlotVector vector;
  vector.period = period;
  vector.slots = std::move(weighted);
  vector.values.assign(vector.slots.size(), {1, 0});
  linear.vectors = {vector};
  plan::Linear::Output output;
  output.out = 2;
  output.columns = {0};
  output.giants = 1;
  output.weights = {0};
  linear.outputs = {output};
  plan::Program program;
  program.parameters.ring_degree = 2 * kSlots;
  plan::Instruction instruction;
  instruction.op = linear;
  program.instructions = {instruction};
  return program;
}

const std::vector<double> kValues = {1, 2, 0, 0, 0, 0, 3, 0};   // energy 14

TEST(UnreadEnergy, IsThatOfSlotsWithoutWeights) {
  const auto program = reading({0, 6}, 0);
  UnreadEnergy energy(program);
  EXPECT_EQ(energy.share(0), 0);   // nothing seen
  energy.see(1, kValues);
  EXPECT_DOUBLE_EQ(energy.share(0), 4.0 / 14);
}

TEST(UnreadEnergy, FollowsRotations) {
  const auto program = reading({0, 7}, 2);   // reads slots 2 and 1
  UnreadEnergy energy(program);
  energy.see(1, kValues);
  EXPECT_DOUBLE_EQ(energy.share(0), 10.0 / 14);
}

TEST(UnreadEnergy, WeightsThatRepeatLeaveNothingOut) {
  auto program = reading({}, 0, 4);
  auto& vector = std::get<plan::Linear>(program.instructions[0].op).vectors[0];
  vector.values = {{1, 0}, {0, 0}, {0, 0}, {0, 0}};
  UnreadEnergy energy(program);
  energy.see(1, kValues);
  EXPECT_EQ(energy.share(0), 0);
}

TEST(UnreadEnergy, ZerosThatAreWrittenOutAreNotRead) {
  auto program = reading({}, 0);
  auto& vector = std::get<plan::Linear>(program.instructions[0].op).vectors[0];
  vector.values.assign(kSlots, {0, 0});
  vector.values[6] = {0, 1};
  UnreadEnergy energy(program);
  energy.see(0, kValues);   // of another register
  EXPECT_EQ(energy.share(0), 0);
  energy.see(1, kValues);
  EXPECT_DOUBLE_EQ(energy.share(0), 5.0 / 14);
}

}  // namespace
}  // namespace brainlock::compiler
