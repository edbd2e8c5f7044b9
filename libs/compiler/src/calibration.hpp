// What sample inputs say of a network: the range of every layer's values, and how noise travels to the answer.
#pragma once

#include <span>
#include <vector>

#include "stages.hpp"

namespace brainlock::compiler {

/// A stage's value (what later stages read, or the answer) over all calibration inputs.
struct StageStats {
  double rms = 0;
  double largest = 0;      ///< absolute value, of the map's own output too where an addend comes on top; at least the stage's reach
  /// Variance at the answer per unit of variance of independent noise on every element of this output (1 for the
  /// last stage): mean over the inputs.
  double gain = 1;
  /// The same for errors of the weights. One error of a convolution's weight meets every position alike, so that it
  /// adds up over positions where independent noise would average out: variance at the answer per unit of variance that
  /// the weights' errors cause at this output, for the first input's values; mean over the inputs. The mean error of
  /// each channel is left out: biases take it back (bias_correction.hpp).
  double weight_gain = 1;
  /// As weight_gain, where each position has rounding errors of its own (weights that repeat nowhere, with zeros around a map)
  /// and biases take back the mean of each position.
  double placed_weight_gain = 1;
  /// As placed_weight_gain, for errors of masks, which meet what the map makes (without its bias), not what it reads.
  double mask_gain = 1;
};

struct Calibration {
  std::vector<StageStats> stages;
  double input_gain = 0;   ///< as `gain`, for independent noise on every value that the first layer's positions read
  /// Noise travels differently through every image: the largest ratio, over the inputs, of one input's gain (or weight
  /// gain) to the mean. Where the bulk of the noise enters is known only once levels are chosen, so this takes the
  /// worst stage.
  double worst_gain_ratio = 1;
};

/// Gains are squared Frobenius norms of the Jacobians, estimated with random sign vectors at the output (Hutchinson's
/// estimator), kProbes backward passes for all inputs together. Deterministic, whatever `threads`. `samples` must not be empty.
/// Cost: (1 + 2 kProbes) passes of the network in the clear per input.
Calibration calibrate(const StagePlan& plan, std::span<const std::vector<float>> samples, unsigned threads = 1);

}  // namespace brainlock::compiler
