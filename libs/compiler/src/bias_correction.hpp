// Takes the mean error of rounded weights back, in the biases.
//
// Weights are rounded when they are encoded. What a layer reads are squares, which are far from zero in the mean, so most
// of the error of a rounded weight is one constant for each channel, and a constant costs nothing to correct.
#pragma once

#include <span>
#include <vector>

#include "brainlock/base/result.hpp"
#include "lowering.hpp"
#include "stages.hpp"

namespace brainlock::compiler {

/// Changes the biases of `program` (levels and scales assigned), whose stages are `stages`, by the mean difference that
/// rounded weights make to each channel on the samples, layer by layer on exact inputs. Cost: that of LayerRuns and, for every layer,
/// of WeightRounding::differences().
Status correct_biases(plan::Program& program, const std::vector<LoweredStage>& stages, const StagePlan& plan,
                      std::span<const std::vector<float>> samples, unsigned threads);

}  // namespace brainlock::compiler
