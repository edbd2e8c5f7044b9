// Inputs for networks of any shape.
#pragma once

#include <cstdint>
#include <vector>

#include "brainlock/compiler/graph.hpp"
#include "brainlock/sampler/random.hpp"
#include "brainlock/sampler/synthetic.hpp"

namespace brainlock {

/// A synthetic image, or uniform numbers in [0, 1) where there is none of that shape. The same for the same seed.
inline std::vector<float> sample(std::uint64_t seed, const compiler::TensorShape& shape) {
  auto image = sampler::synthetic_image(seed, shape.channels, shape.height, shape.width);
  if (image.ok()) return image->pixels;
  sampler::Random random(seed);
  std::vector<float> values(shape.size());
  for (float& v : values) v = static_cast<float>(random.uniform());
  return values;
}

}  // namespace brainlock
