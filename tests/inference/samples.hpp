// Inputs for networks of any shape.
#pragma once

#include <cstdint>
#include <vector>

#include "brainlock/compiler/graph.hpp"
#include "brainlock/sampler/calibration.hpp"

namespace brainlock {

/// A synthetic input of that shape. The same for the same seed.
inline std::vector<float> sample(std::uint64_t seed, const compiler::TensorShape& shape) {
  return sampler::synthetic_values(seed, shape.channels, shape.height, shape.width);
}

/// What `brainlock compile` calibrates with.
inline std::vector<std::vector<float>> calibration(const compiler::TensorShape& shape) {
  return sampler::calibration_inputs(8, shape.channels, shape.height, shape.width, 1);
}

}  // namespace brainlock
