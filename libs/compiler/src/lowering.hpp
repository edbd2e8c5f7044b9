// Stages to instructions for one choice of layout. Limb counts and scales are filled in later (levels.hpp).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/plan/program.hpp"
#include "layout.hpp"
#include "stages.hpp"

namespace brainlock::compiler {

/// The free choices of a layout; everything else follows from the network.
struct LayoutChoice {
  std::int64_t channel_stride = 0;   ///< sx of the first feature map (ignored when the first layer is dense)
  std::int64_t grid_width = 0;       ///< positions per row of the first feature map
  int fy = 1, fx = 1;                ///< phases of the first feature map
  int baby_steps = 16;               ///< rotations shared by hoisting; giants step by this
  bool real_input = false;           ///< spend a second input ciphertext instead of a conjugation
  int parts = 2;                     ///< channels that share a slot of a feature map; with one there is nothing to conjugate before a square
  bool masks = false;                ///< zeros around a map by masks behind weights that repeat, not among weights that do not

  [[nodiscard]] std::string describe() const;
  /// Share of the slots that the first feature map takes (1 for a dense first layer).
  [[nodiscard]] double fill(const StagePlan& plan, std::uint32_t slots) const;
};
/// Layouts that fill less are only tried if there are no others.
inline constexpr double kSparse = 1.0 / 8;

/// Instruction indices of one stage, for levels and reports.
struct LoweredStage {
  std::size_t linear = 0;            ///< index of its Linear
  std::size_t first = 0, last = 0;   ///< instruction range [first, last]; behind it come squares and splits of its value
  std::size_t rank = 0;
  bool carried = false;              ///< begins with Drops and chooses its own scale (see Stage::carried)
  double min_weight_log2 = 14;       ///< of a carried stage: least log2 of its weight scale
  double mask_log2 = 0;              ///< of a carried stage with masks: log2 of their scale
  std::vector<plan::Register> value; ///< packed registers that later stages read; none: it is a part of a sum
  /// Where the elements of its output lie (`ciphertext`: index of the Linear's output); every other slot is garbage.
  std::vector<plan::Place> places;
};

struct Lowered {
  plan::Program program;             ///< limbs and scales unset
  std::vector<LoweredStage> stages;
  std::vector<bool> plain_ranks;     ///< see StagePlan
};

/// kUnsupported with the reason if this choice cannot hold the network.
/// With kStructure weight vectors and biases stay empty: enough to count the cost. The same program for any number of threads.
enum class LowerDepth { kStructure, kWeights };
Result<Lowered> lower(const StagePlan& plan, std::uint32_t slots, const LayoutChoice& choice,
                      LowerDepth depth = LowerDepth::kWeights, unsigned threads = 1);

/// All placements worth trying for a network (at 16 baby steps and a packed input; the compiler varies those after).
std::vector<LayoutChoice> enumerate_choices(const StagePlan& plan, std::uint32_t slots);

}  // namespace brainlock::compiler
