// Which values of a network can be refreshed, how large they are, and the program with its refreshes written out.
#pragma once

#include <vector>

#include "brainlock/plan/slot_interpreter.hpp"
#include "calibration.hpp"
#include "levels.hpp"
#include "lowering.hpp"
#include "stages.hpp"

namespace brainlock::compiler {

/// What a refresh has to know of the values of each rank.
struct RefreshRanges {
  struct Rank {
    std::uint32_t ciphertexts = 0;  ///< 0: cannot be refreshed
    bool real = true;               ///< nobody reads imaginary parts
    double largest = 0;             ///< |value| over the calibration inputs, with margin
    double rms = 0;
    bool clean = true;      ///< no slot beside the values is larger, for one of these inputs
    double read_share = 1;  ///< slots that the next layers read, zeros around maps among them, over values
  };
  std::vector<Rank> ranks;
};

/// A rank can be refreshed if no later one reads lower ranks, so that all that goes on is its own values. `trace`: of the
/// program's run for one input.
RefreshRanges find_refresh_ranges(const StagePlan& plan, const Lowered& lowered, const Calibration& calibration,
                                  const plan::SlotTrace& trace);

/// Writes the refreshes of `choice` out behind the stages whose values they refresh. The program has its levels
/// assigned. With kStructure transforms have no weights: enough to count the cost.
void write_refreshes(plan::Program& program, const std::vector<LoweredStage>& stages, const LevelChoice& choice,
                     const RefreshRanges& ranges, TransformDepth depth = TransformDepth::kWeights);

}  // namespace brainlock::compiler
