// Which values of a network can be refreshed, what their polynomials are like, and the program with its refreshes
// written out.
#pragma once

#include <span>
#include <vector>

#include "levels.hpp"
#include "lowering.hpp"
#include "stages.hpp"

namespace brainlock::compiler {

/// The polynomials behind the values of each rank. What a refresh takes away again is a value's mean over the inputs,
/// slot by slot: it would make large coefficients out of constants that everybody knows.
struct RefreshRanges {
  struct Rank {
    std::uint32_t ciphertexts = 0;   ///< 0: cannot be refreshed
    double largest_coefficient = 0;  ///< over all samples, of what is left of the values
    double coefficient_rms = 0;
    double read_share = 1;  ///< slots that the next layers read, zeros around maps among them, over values
  };
  std::vector<Rank> ranks;
  std::vector<plan::SlotVector> centres;  ///< by register; empty: nothing is taken from it
};

/// Runs the program for the samples. A rank can be refreshed if no later one reads lower ranks, so that all that goes
/// on is its own values.
RefreshRanges measure_refresh_ranges(const StagePlan& plan, const Lowered& lowered,
                                     std::span<const std::vector<float>> samples, unsigned threads);

/// Writes the refreshes of `choice` out behind the stages whose values they refresh. The program has its levels
/// assigned. With kStructure transforms have no weights and biases stay as they are: enough to count the cost.
void write_refreshes(plan::Program& program, const std::vector<LoweredStage>& stages, const LevelChoice& choice,
                     const RefreshRanges& ranges, TransformDepth depth = TransformDepth::kWeights);

/// What inputs that are provided for may have more than the samples have.
inline constexpr double kCoefficientMargin = 2;

}  // namespace brainlock::compiler
