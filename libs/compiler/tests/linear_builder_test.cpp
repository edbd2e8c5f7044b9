#include "linear_builder.hpp"

#include <gtest/gtest.h>

#include "slot_sums.hpp"

namespace brainlock::compiler {
namespace {

TEST(SlotSums, AddUpInOrderAndComeOutBySlot) {
  SlotSums sums(128);
  for (int round = 0; round < 2; ++round) {  // nothing is left of the round before
    sums.add(127, {1, 2});
    sums.add(3, {0.5, 0});
    sums.add(64, {1e20, 0});
    sums.add(64, {1, 0});
    sums.add(64, {-1e20, 0});
    const plan::SlotVector vector = sums.take_sparse();
    EXPECT_EQ(vector.period, 128U);
    EXPECT_EQ(vector.slots, (std::vector<std::uint32_t>{3, 64, 127}));
    EXPECT_EQ(vector.values, (std::vector<std::complex<float>>{{0.5F, 0}, {0, 0}, {1, 2}}));
  }
  sums.add(1, 4);
  const plan::SlotVector dense = sums.take_dense(4);
  EXPECT_TRUE(dense.dense());
  EXPECT_EQ(dense.values, (std::vector<std::complex<float>>{0, 4, 0, 0}));
  EXPECT_TRUE(sums.take_sparse().values.empty());
}

void expect_same(const plan::Linear& a, const plan::Linear& b) {
  ASSERT_EQ(a.vectors.size(), b.vectors.size());
  for (std::size_t v = 0; v < a.vectors.size(); ++v) {
    EXPECT_EQ(a.vectors[v].slots, b.vectors[v].slots);
    EXPECT_EQ(a.vectors[v].values, b.vectors[v].values);
  }
  ASSERT_EQ(a.outputs.size(), b.outputs.size());
  for (std::size_t o = 0; o < a.outputs.size(); ++o) EXPECT_EQ(a.outputs[o].weights, b.outputs[o].weights);
}

// Positions may wrap around, and weights of several patterns may meet in one slot.
TEST(LinearBuilder, PatternsAreAllTheirSlots) {
  constexpr std::int64_t kSlots = 64;
  const std::vector<std::int64_t> positions{0, 1, 8, 9, 16, 62}, others{2, 8, 70};
  LinearBuilder by_pattern(kSlots, kSlots, 8, 2), by_slot(kSlots, kSlots, 8, 2);
  const auto first = by_pattern.pattern(positions), second = by_pattern.pattern(others);
  double value = 1;
  for (int output = 0; output < 2; ++output)
    for (const std::int64_t shift : {-9, -1, 0, 3, 17}) {
      const std::uint32_t input = by_pattern.input(5);
      EXPECT_EQ(by_slot.input(5), input);
      for (const auto& [pattern, slots] :
           {std::pair(first, positions), std::pair(second, others), std::pair(first, positions)}) {
        value = value * 1.37 - 0.6;
        by_pattern.add(output, input, shift, shift - 3, pattern, {value, -value});
        for (const std::int64_t slot : slots) by_slot.add(output, input, shift, shift - 3 + slot, {value, -value});
      }
    }
  EXPECT_EQ(by_pattern.lowest_giant(), by_slot.lowest_giant());
  const plan::Linear expected = by_slot.build({1, 2});
  EXPECT_EQ(expected.vectors.size(), 10U);
  for (const unsigned threads : {1U, 4U}) expect_same(by_pattern.build({1, 2}, threads), expected);
}

}  // namespace
}  // namespace brainlock::compiler
