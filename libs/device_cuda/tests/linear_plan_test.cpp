// How linear_layer goes through a layer's columns: every one is made before it is added, and all of it fits a block.
#include "linear_plan.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

namespace brainlock::device_cuda {
namespace {

/// A layer whose every input is under every rotation, the first of which is by zero.
struct Layer {
  Layer(std::uint32_t inputs, std::uint32_t rotation_count, const std::vector<std::uint32_t>& giants,
        std::mt19937& random) {
    uses.resize(rotation_count);
    for (auto& of_rotation : uses) {
      for (std::uint32_t i = 0; i < inputs; ++i) of_rotation.push_back({i, core.column_count++});
    }
    for (std::uint32_t r = 0; r < rotation_count; ++r) rotations.push_back({r == 0 ? nullptr : &key, uses[r]});
    columns.resize(giants.size());
    for (std::size_t o = 0; o < giants.size(); ++o) {
      // All columns in the first output; in the others some, and some of them more than once.
      for (std::uint32_t c = 0; c < core.column_count; ++c)
        columns[o].push_back(o == 0 ? c : static_cast<std::uint32_t>(random() % core.column_count));
      outputs.push_back({.columns = columns[o], .giants = giants[o], .weights = nullptr, .full = {}, .acc = {}});
    }
    core.rotations = rotations;
    core.outputs = outputs;
  }
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;

  device::SwitchingKey key;
  std::vector<std::vector<device::LinearCore::Use>> uses;
  std::vector<device::LinearCore::Rotation> rotations;
  std::vector<std::vector<std::uint32_t>> columns;
  std::vector<device::LinearCore::Output> outputs;
  device::LinearCore core;
};

/// The columns that entries of an output stand for, by its positions: what an adder finds in its places when it comes
/// to a chunk.
void expect_every_column_once(const Layer& layer, const LinearPlan& plan) {
  const std::size_t slots = std::size_t{1} << plan.log_slots;
  // The column that a use of the plan makes: uses are listed in the order of the layer's.
  std::vector<std::uint32_t> column_of_use;
  for (const auto& of_rotation : layer.uses) {
    for (const auto& use : of_rotation) column_of_use.push_back(use.column);
  }
  ASSERT_EQ(plan.uses.size(), column_of_use.size());
  for (std::size_t o = 0; o < plan.outputs.size(); ++o) {
    const LinearPlan::Output& output = plan.outputs[o];
    ASSERT_EQ(output.entry_begin.size(), plan.chunks.size() + 1);
    std::vector<bool> added(layer.columns[o].size());
    for (std::size_t c = 0; c < plan.chunks.size(); ++c) {
      std::map<gpu::Word, std::uint32_t> made;  // by place
      for (gpu::Word r = 0; r < plan.chunks[c].rotation_count; ++r) {
        const gpu::LinearRotation& rotation = plan.rotations.at(plan.chunks[c].first_rotation + r);
        ASSERT_LE(rotation.use_count, gpu::kUsesAtOnce);
        for (gpu::Word u = rotation.first_use; u < rotation.first_use + rotation.use_count; ++u) {
          ASSERT_LT(plan.uses[u].column, slots);
          ASSERT_TRUE(made.emplace(plan.uses[u].column, column_of_use[u]).second) << "a place is made twice";
        }
      }
      ASSERT_LE(output.entry_begin[c + 1] - output.entry_begin[c], slots);
      for (gpu::Word e = output.entry_begin[c]; e < output.entry_begin[c + 1]; ++e) {
        const gpu::LinearEntry& entry = output.entries.at(e);
        ASSERT_EQ(made.at(entry.slot), layer.columns[o].at(entry.place));
        ASSERT_FALSE(added[entry.place]);
        added[entry.place] = true;
      }
    }
    EXPECT_EQ(std::count(added.begin(), added.end(), true), static_cast<std::ptrdiff_t>(added.size()));
  }
}

TEST(LinearPlan, EveryColumnIsMadeAndAddedWithinABlock) {
  std::mt19937 random(5);
  // From one column to more than any network has; giant steps of one output, of several, and more than a block has
  // adders for.
  const std::vector<std::uint32_t> giant_lists[] = {{1},  {2},  {8},   {9},    {16},        {17},
                                                    {32}, {33}, {100}, {1, 1}, {16, 16, 3}, {20, 1, 7, 64}};
  for (const std::uint32_t inputs : {1U, 2U, 3U, 4U, 5U, 9U}) {
    for (const std::uint32_t rotations : {1U, 2U, 16U, 46U}) {
      for (const auto& giants : giant_lists) {
        for (const unsigned log_run : {2U, 3U, 5U, 7U, 12U}) {
          SCOPED_TRACE(std::to_string(inputs) + " inputs, " + std::to_string(rotations) + " rotations, " +
                       std::to_string(giants.size()) + " outputs, the first of " + std::to_string(giants[0]) +
                       " giant steps, runs of 2^" + std::to_string(log_run));
          const Layer layer(inputs, rotations, giants, random);
          const LinearPlan plan(layer.core, log_run);
          EXPECT_LE(plan.shared_bytes, std::size_t{48} << 10);
          EXPECT_GE(plan.makers, 1U);
          EXPECT_GE(plan.adders, 1U);
          EXPECT_LE(plan.adders, gpu::kMostAdders);
          std::uint32_t tiles = 0;
          for (const std::uint32_t of_output : giants) tiles += (of_output + gpu::kGiantTile - 1) / gpu::kGiantTile;
          EXPECT_EQ(plan.tile_count, tiles);
          expect_every_column_once(layer, plan);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST(LinearPlan, BlocksAreAsLargeAsAMultiprocessorTakes) {
  // A block of fewer groups would leave registers to nobody: they belong to makers, which wait for keys.
  std::mt19937 random(6);
  for (const std::uint32_t giants : {1U, 4U, 8U, 16U, 20U, 32U, 40U, 64U}) {
    const Layer layer(3, 16, {giants}, random);
    const LinearPlan plan(layer.core, 11);
    EXPECT_EQ(plan.makers + plan.adders, gpu::kMostLinearGroups) << giants;
  }
}

}  // namespace
}  // namespace brainlock::device_cuda
