// Endless pictures that nobody has seen before: shapes, textures and colour fields with the statistics of photographs.
#pragma once

#include <cstdint>

#include "brainlock/base/result.hpp"
#include "brainlock/sampler/image.hpp"

namespace brainlock::sampler {

/// The picture of `seed`: a background field, zero to ten shapes with textures and shading, a possible second scene
/// mixed in, light from one side, then blur, exposure, contrast, fine detail, edges, grain and colour resolution drawn like those of
/// small photographs (CIFAR-10's per-image statistics). Values are multiples of 1/255. Deterministic: a seed and a size name one picture. `channels` is 1 or 3,
/// sides are 1..1024; otherwise kInvalidArgument. Costs about 1 ms for 3x32x32 and grows with the area. Safe from many
/// threads.
///
/// Whoever knows the seed knows the picture: a validator draws its seeds from the operating system's generator.
Result<Image> synthetic_image(std::uint64_t seed, int channels, int height, int width);

}  // namespace brainlock::sampler
