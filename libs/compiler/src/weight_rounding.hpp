// What rounded weights do to what a program computes. Weights are rounded when they are encoded: the coefficients of
// each vector's polynomial become integers.
#pragma once

#include <complex>
#include <map>
#include <utility>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/ckks/encoder.hpp"
#include "brainlock/plan/program.hpp"
#include "layer_runs.hpp"

namespace brainlock::compiler {

/// By output register of a Linear: a sum over samples, slot by slot.
using RoundingDifferences = std::map<plan::Register, std::vector<std::complex<double>>>;

/// What is rounded.
enum class Rounded { kWeights, kMasks, kBoth };

class WeightRounding {
 public:
  static Result<WeightRounding> create(std::uint32_t ring_degree);

  /// Outputs with rounded weights (and masks) less those with exact ones, on exact inputs, summed over the samples of
  /// `runs`, of the Linear that these have come to. Weights are rounded at its weight_scale, masks at its mask_scale.
  /// The same words for any number of threads. Cost: two FFTs for every weight vector, and the Linear itself for each
  /// sample. Memory: some of the Linear's outputs at a time have their weights written out twice.
  Result<RoundingDifferences> differences(const plan::Program& program, const LayerRuns& runs, Rounded rounded,
                                          unsigned threads) const;

 private:
  explicit WeightRounding(ckks::Encoder encoder) : encoder_(std::move(encoder)) {}
  /// As encryption meets them: encoded, rounded, decoded. Vectors without their zeros get them.
  Result<std::vector<plan::SlotVector>> rounded(const std::vector<const plan::SlotVector*>& vectors, double scale,
                                                unsigned threads) const;
  /// Outputs [first, last) of a Linear with rounded weights or masks.
  Result<plan::Linear> rounded_part(const plan::Linear& linear, std::size_t first, std::size_t last, Rounded what,
                                    unsigned threads) const;

  ckks::Encoder encoder_;
};

}  // namespace brainlock::compiler
