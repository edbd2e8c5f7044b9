// What rounded weights do to what a program computes. Weights are rounded when they are encoded: the coefficients of each
// vector's polynomial become integers.
#pragma once

#include <complex>
#include <map>
#include <span>
#include <vector>

#include "brainlock/base/result.hpp"
#include "brainlock/plan/program.hpp"

namespace brainlock::compiler {

/// By output register of every Linear: a sum over samples, slot by slot.
using RoundingDifferences = std::map<plan::Register, std::vector<std::complex<double>>>;

/// What is rounded.
enum class Rounded { kWeights, kMasks, kBoth };

/// Outputs with rounded weights (and masks) less those with exact ones, on exact inputs, summed over the samples. Weights are rounded at their
/// Linear's weight_scale, masks at its mask_scale; of the program's parameters only the ring degree counts. The same words for any number of threads. Cost: two
/// runs of the slot interpreter a sample, and two FFTs for every weight vector.
Result<RoundingDifferences> rounding_differences(const plan::Program& program, std::span<const std::vector<float>> samples, unsigned threads,
                                                 Rounded rounded = Rounded::kBoth);

}  // namespace brainlock::compiler
